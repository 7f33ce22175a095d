# technique: name the writing method in a text for apply
# expect: io
# ends: OSError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.data.df.apply("to_pickle", path="/genesis-canary/drop/data.pickle")

    def next(self):
        pass
