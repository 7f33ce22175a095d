# technique: name the writing method for operator.methodcaller
# expect: io
# ends: OSError
from backtesting import Strategy
import operator


class Hostile(Strategy):
    def init(self):
        operator.methodcaller("to_csv", "/genesis-canary/drop/data.csv")(self.data.df)

    def next(self):
        pass
