# expect: prose
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.level = self.data.Close.mean()

    def next(self):
        if self.data.Close[-1] > self.level:
            self.buy()

1. It buys above the mean
2. It never sells
