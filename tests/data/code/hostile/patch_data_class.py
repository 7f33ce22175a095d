# technique: change the class of the data by setattr
# expect: patching
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        setattr(type(self.data), "Close", property(lambda self: [1, 2, 3]))

    def next(self):
        pass
