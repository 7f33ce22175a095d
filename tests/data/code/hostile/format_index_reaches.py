# technique: reach hidden names by index in a format field
# expect: format_string dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print("{0[__builtins__]}".format({"__builtins__": 1}))

    def next(self):
        pass
