# technique: read the future from the array that the present is a view of
# expect: engine_internals
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        if self.data.Close.base is not None and self.data.Close.base[-1] > self.data.Close[-1]:
            self.buy()
