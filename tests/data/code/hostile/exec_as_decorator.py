# expect: dynamic-code
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

@exec
@str
class X:
    pass

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
