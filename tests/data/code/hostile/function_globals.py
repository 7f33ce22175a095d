# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        self.next.__globals__['__builtins__']

    def next(self):
        pass
