# technique: read hidden attributes with format_map
# expect: format_string
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print("{x.__init__.__globals__}".format_map({"x": self}))

    def next(self):
        pass
