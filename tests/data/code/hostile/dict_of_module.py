# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        np.__dict__['load']

    def next(self):
        pass
