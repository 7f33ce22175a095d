# technique: give oneself cash
# expect: engine_internals
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        self._broker._cash = 1e9
