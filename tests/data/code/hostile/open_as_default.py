# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

def read(path, opener=open):
    return opener(path)

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
