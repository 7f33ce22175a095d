# technique: change the class of the position
# expect: patching
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        type(self.position).pl = property(lambda self: 1e6)

    def next(self):
        pass
