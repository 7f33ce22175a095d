# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import collections

class Hostile(Strategy):
    def init(self):
        collections._sys.modules

    def next(self):
        pass
