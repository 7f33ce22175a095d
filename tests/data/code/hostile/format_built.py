# technique: put the format together at run time
# expect: format_string
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(("{0._bro" + "ker}").format(self))

    def next(self):
        pass
