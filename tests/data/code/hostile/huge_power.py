# technique: compute a number that fills the memory
# expect: huge
# ends: Timeout
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print((10**10**10) % 7)

    def next(self):
        pass
