# expect: patching
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

talib.RSI = lambda *a: a[0]

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
