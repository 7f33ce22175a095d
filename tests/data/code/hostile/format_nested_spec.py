# technique: hide the attribute in a nested format specification
# expect: format_string
# ends: ValueError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print("{0:{1.__class__}}".format(1, self))

    def next(self):
        pass
