# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

reader = open

class Hostile(Strategy):
    def init(self):
        self.secret = reader('/etc/passwd')

    def next(self):
        pass
