# expect: syntax
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        x = = 1

    def next(self):
        pass
