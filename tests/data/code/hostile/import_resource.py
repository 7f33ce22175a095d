# technique: lift the limits
# expect: import
# ends: ValueError
from backtesting import Strategy
import resource


class Hostile(Strategy):
    def init(self):
        resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))

    def next(self):
        pass
