# technique: answer for names that the module doesn't have
# expect: dunder
# ends: trades
from backtesting import Strategy


def __getattr__(name):
    return Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
