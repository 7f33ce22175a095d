# expect: format-string
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        ('{0.' + 'real}').format(1)

    def next(self):
        pass
