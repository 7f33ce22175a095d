# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        try:
            1 / 0
        except ZeroDivisionError as error:
            self.f = error.__traceback__.tb_frame

    def next(self):
        pass
