# technique: keep a hidden name in a text for later
# expect: dunder reflection
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        name = "__globals__"
        print([getattr(self.next, name)])

    def next(self):
        pass
