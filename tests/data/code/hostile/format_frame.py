# technique: read a frame with a format field that has no underscore at its beginning
# expect: format_string
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print("{0.gi_frame.f_globals}".format(step for step in [1]))

    def next(self):
        pass
