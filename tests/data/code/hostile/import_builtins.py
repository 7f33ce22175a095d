# technique: replace a built-in for everybody
# expect: import patching
# ends: ValueError
from backtesting import Strategy
import builtins


class Hostile(Strategy):
    def init(self):
        builtins.sum = lambda *_: 1e9

    def next(self):
        pass
