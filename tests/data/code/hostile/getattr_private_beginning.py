# expect: reflection
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        getattr(self, f'_{1}x')

    def next(self):
        pass
