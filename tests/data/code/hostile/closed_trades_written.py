# technique: add trades that never were
# expect: engine_internals
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        self._closed_trades = []
        print(self._broker.closed_trades.append)
