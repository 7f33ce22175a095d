# technique: read the data file with its future
# expect: io
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(open("data.csv").read()[:200])

    def next(self):
        pass
