# expect: cut_off
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
        """the next
