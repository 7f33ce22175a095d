# technique: change the module's names
# expect: reflection
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        globals()["Strategy"] = None

    def next(self):
        pass
