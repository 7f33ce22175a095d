# technique: return a module from a lambda
# expect: module_attribute
# ends: FileNotFoundError
import pandas as pd
from backtesting import Strategy

tool = lambda: pd


class Hostile(Strategy):
    def init(self):
        print(tool().read_csv("/genesis-canary/secret"))

    def next(self):
        pass
