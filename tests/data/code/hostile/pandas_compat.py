# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        pd.compat.pickle_compat

    def next(self):
        pass
