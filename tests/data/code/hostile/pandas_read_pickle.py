# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        pd.read_pickle('/tmp/x')

    def next(self):
        pass
