# technique: join the format from parts
# expect: format_string
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print("".join(["{0._bro", "ker}"]).format(self))

    def next(self):
        pass
