# technique: read every local name
# expect: reflection
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(locals()["self"])

    def next(self):
        pass
