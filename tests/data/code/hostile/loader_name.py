# technique: use the module's loader
# expect: dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(__loader__)

    def next(self):
        pass
