# expect: dynamic-code
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import functools

class Hostile(Strategy):
    def init(self):
        functools.reduce(eval, ['1'])

    def next(self):
        pass
