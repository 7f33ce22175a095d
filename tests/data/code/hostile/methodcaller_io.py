# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import operator

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        operator.methodcaller('to_csv', '/tmp/x')(self.data.df)
