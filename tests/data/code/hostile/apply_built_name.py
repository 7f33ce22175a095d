# technique: build the method's name for pandas's apply
# expect: reflection
# ends: OSError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.data.df.apply("to_" + "csv", path_or_buf="/genesis-canary/drop/data.csv")

    def next(self):
        pass
