# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        self.secret = open('/etc/passwd').read()

    def next(self):
        pass
