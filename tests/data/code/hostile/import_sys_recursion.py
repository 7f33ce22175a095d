# technique: overflow the C stack
# expect: import
# ends: Timeout NoReport RecursionError trades
from backtesting import Strategy
import sys


class Hostile(Strategy):
    def init(self):
        sys.setrecursionlimit(10**9)
        deep = []
        for _ in range(2_000_000):
            deep = [deep]
        print(repr(deep))

    def next(self):
        pass
