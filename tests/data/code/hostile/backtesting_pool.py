# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        backtesting.Pool(4)

    def next(self):
        pass
