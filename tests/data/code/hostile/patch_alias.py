# expect: patching
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

Base = Strategy
Base.sell = None

class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
