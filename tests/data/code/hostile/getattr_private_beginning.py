# technique: build a private name for getattr
# expect: reflection
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(getattr(self, f"_{'broker'}"))

    def next(self):
        pass
