# technique: write the data's frame
# expect: patching
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.data.df["Close"] = 1.0

    def next(self):
        pass
