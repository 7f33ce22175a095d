# technique: import numpy's reader of files by its own path
# expect: import
# ends: FileNotFoundError
from backtesting import Strategy
from numpy.lib.npyio import DataSource


class Hostile(Strategy):
    def init(self):
        print(DataSource(".").open("/genesis-canary/secret").read())

    def next(self):
        pass
