# expect: format-string
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        ''.join(['{0', '.x}']).format(self)

    def next(self):
        pass
