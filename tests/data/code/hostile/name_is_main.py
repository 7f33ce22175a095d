# technique: pretend to be the main program
# expect: dunder
# ends: trades
from backtesting import Strategy

__name__ = "__main__"


class Hostile(Strategy):
    def init(self):
        print(__name__)

    def next(self):
        pass
