# technique: use the name __builtins__
# expect: dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(__builtins__)

    def next(self):
        pass
