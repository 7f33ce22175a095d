# technique: take the broker by getattr
# expect: engine_internals
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        getattr(self, "_broker").margin_available
