# technique: hand open to self.I as an indicator
# expect: io
# ends: RuntimeError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.I(open, "/genesis-canary/secret")

    def next(self):
        pass
