# expect: engine-internals
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        self.trades[0]._Trade__entry_price = 1
