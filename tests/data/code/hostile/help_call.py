# technique: start a pager
# expect: process
# ends: NameError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        help("modules")

    def next(self):
        pass
