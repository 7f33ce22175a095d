# expect: hidden-text
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        x = 'a‮b'

    def next(self):
        pass
