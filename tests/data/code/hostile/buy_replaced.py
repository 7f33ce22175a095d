# technique: replace the engine's buy
# expect: patching
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        Strategy.buy = lambda self, **_: None

    def next(self):
        pass
