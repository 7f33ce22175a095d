# technique: change a trade's entry price
# expect: engine_internals
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        self.buy()
        for trade in self.trades:
            trade._Trade__entry_price = 1.0
