# technique: delete an engine's method
# expect: patching
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        del Strategy.sell

    def next(self):
        pass
