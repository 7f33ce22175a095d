# technique: write with to_csv
# expect: io
# ends: OSError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.data.df.to_csv("/genesis-canary/drop/data.csv")

    def next(self):
        pass
