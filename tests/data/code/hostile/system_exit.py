# technique: end the trial with an exception that few catch
# expect: process
# ends: SystemExit
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        raise SystemExit(0)
