# technique: take a hidden attribute by getattr with a literal name
# expect: dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(getattr(self.next, "__globals__"))

    def next(self):
        pass
