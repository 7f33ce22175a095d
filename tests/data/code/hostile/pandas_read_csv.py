# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        self.future = pd.read_csv('/data/prices.csv')

    def next(self):
        pass
