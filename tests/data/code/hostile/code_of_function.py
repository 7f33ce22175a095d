# technique: replace the code of an engine's function
# expect: dunder patching
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        def free(self, *_, **__):
            return 0

        Strategy.buy.__code__ = free.__code__

    def next(self):
        pass
