# technique: import numpy.load by name
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy
from numpy import load as fetch


class Hostile(Strategy):
    def init(self):
        print(fetch("/genesis-canary/secret", allow_pickle=True))

    def next(self):
        pass
