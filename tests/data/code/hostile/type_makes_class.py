# technique: make a class at run time
# expect: reflection
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(type("Fake", (Strategy,), {"init": None, "next": None}))

    def next(self):
        pass
