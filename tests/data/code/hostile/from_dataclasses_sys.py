# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

from dataclasses import sys as s

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
