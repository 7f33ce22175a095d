# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

from logging import os as o

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
