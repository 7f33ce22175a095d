# technique: use a built-in where a comprehension's own name of it isn't bound yet
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print([open for open in open("/genesis-canary/secret")])

    def next(self):
        pass
