# technique: open an interpreter
# expect: import
# ends: trades
from backtesting import Strategy
import code


class Hostile(Strategy):
    def init(self):
        code.interact()

    def next(self):
        pass
