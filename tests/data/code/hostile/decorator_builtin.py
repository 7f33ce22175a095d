# expect: decorator
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

@print
def helper():
    return 1

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
