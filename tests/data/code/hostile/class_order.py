# technique: walk the order of base classes
# expect: frame
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(Strategy.mro()[-1])

    def next(self):
        pass
