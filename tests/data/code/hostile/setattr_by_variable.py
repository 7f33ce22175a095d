# technique: set an attribute by a name in a variable
# expect: reflection
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        for name in ("_equity",):
            setattr(Strategy, name, 1e9)

    def next(self):
        pass
