# expect: entrypoint
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass
