# expect: entrypoint
from backtesting import Strategy


class Other(Strategy):
    def init(self):
        pass

    def next(self):
        pass
