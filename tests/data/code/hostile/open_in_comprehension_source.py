# expect: io
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        self.x = [open for open in open('/etc/passwd')]

    def next(self):
        pass
