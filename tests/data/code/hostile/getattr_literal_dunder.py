# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        getattr(self, '__class__')

    def next(self):
        pass
