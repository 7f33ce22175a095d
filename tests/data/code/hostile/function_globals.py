# technique: take the built-ins from a function's globals
# expect: dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(self.next.__globals__["__builtins__"])

    def next(self):
        pass
