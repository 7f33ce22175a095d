# technique: act when an object is thrown away
# expect: dunder
# ends: trades
from backtesting import Strategy


class Late:
    def __del__(self):
        print("after the end")


class Hostile(Strategy):
    def init(self):
        self.late = Late()

    def next(self):
        pass
