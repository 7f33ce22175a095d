# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

p = pd

class Hostile(Strategy):
    def init(self):
        p.read_csv('/data/prices.csv')

    def next(self):
        pass
