# technique: change the data for later trials
# expect: io
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        with open("data.csv", "w") as sink:
            sink.write("Date,Open,High,Low,Close,Volume\n")

    def next(self):
        pass
