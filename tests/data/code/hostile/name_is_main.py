# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

__name__ = '__main__'

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
