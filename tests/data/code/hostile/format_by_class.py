# technique: call format on the class str
# expect: format_string
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(str.format("{0.__class__.__base__}", self))

    def next(self):
        pass
