# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        np.array([1.0]).ctypes.data_as
