# technique: take the module of built-ins from a built-in function
# expect: dunder
# ends: FileNotFoundError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(print.__self__.open("/genesis-canary/secret").read())

    def next(self):
        pass
