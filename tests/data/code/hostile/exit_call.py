# technique: end the trial's process
# expect: process
# ends: NameError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        exit(0)
