# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

class X:
    __class_getitem__ = print

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
