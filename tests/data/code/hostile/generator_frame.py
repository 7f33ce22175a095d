# expect: frame
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        g = (x for x in [1])
        self.f = g.gi_frame

    def next(self):
        pass
