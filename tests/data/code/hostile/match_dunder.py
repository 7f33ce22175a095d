# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        match self:
            case object(__class__=c):
                self.c = c

    def next(self):
        pass
