# technique: repeat a list until memory ends
# expect: huge
# ends: MemoryError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        kept = [0] * 10**10

    def next(self):
        pass
