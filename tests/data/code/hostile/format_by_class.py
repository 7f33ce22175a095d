# expect: format-string
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        str.format('{0.__class__}', self)

    def next(self):
        pass
