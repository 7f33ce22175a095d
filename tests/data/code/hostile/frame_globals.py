# expect: frame
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        self.f.f_back.f_globals

    def next(self):
        pass
