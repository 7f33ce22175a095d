# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

class X:
    def __getattribute__(self, name):
        return name

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
