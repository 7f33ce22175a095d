# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        np.memmap('/data/x', mode='r+')

    def next(self):
        pass
