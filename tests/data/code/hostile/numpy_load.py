# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        np.load('/data/x.npy', allow_pickle=True)

    def next(self):
        pass
