# technique: make indexing a class call a function
# expect: dunder
# ends: trades
from backtesting import Strategy


class Caller:
    __class_getitem__ = print


class Hostile(Strategy):
    def init(self):
        print(Caller["/genesis-canary/secret"])

    def next(self):
        pass
