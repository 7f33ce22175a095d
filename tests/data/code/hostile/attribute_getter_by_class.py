# technique: call the attribute getter of object
# expect: dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(object.__getattribute__(self, "_broker"))

    def next(self):
        pass
