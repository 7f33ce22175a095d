# technique: write the prices
# expect: patching
# ends: ValueError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.data.Close[:] = 1.0

    def next(self):
        pass
