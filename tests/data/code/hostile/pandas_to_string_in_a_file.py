# technique: write with to_string, which is mostly used to print
# expect: io
# ends: OSError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.data.df.to_string("/genesis-canary/drop/data.txt")

    def next(self):
        pass
