# expect: format-string
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        '{x.__init__.__globals__}'.format_map({'x': self})

    def next(self):
        pass
