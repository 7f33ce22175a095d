# technique: replace through an alias
# expect: patching
# ends: trades
import backtesting
from backtesting import Strategy

engine = backtesting.backtesting


class Hostile(Strategy):
    def init(self):
        engine.Order = None

    def next(self):
        pass
