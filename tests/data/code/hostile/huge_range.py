# technique: count to a number that nobody reaches
# expect: huge
# ends: Timeout
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(sum(range(10**13)))

    def next(self):
        pass
