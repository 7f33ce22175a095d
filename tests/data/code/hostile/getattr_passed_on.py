# expect: reflection
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import functools

class Hostile(Strategy):
    def init(self):
        functools.partial(getattr, self)('x')

    def next(self):
        pass
