# technique: replace by setattr with a literal name
# expect: patching
# ends: trades
import backtesting
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        setattr(backtesting.backtesting.Trade, "pl", property(lambda self: 1e6))

    def next(self):
        pass
