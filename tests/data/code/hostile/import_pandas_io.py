# technique: import pandas's file handles
# expect: import
# ends: FileNotFoundError
from backtesting import Strategy
from pandas.io.common import get_handle


class Hostile(Strategy):
    def init(self):
        print(get_handle("/genesis-canary/secret", "r").handle.read())

    def next(self):
        pass
