# technique: read hidden attributes with a format field
# expect: format_string
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print("{0.__init__.__globals__}".format(self.data))

    def next(self):
        pass
