# technique: kill every process that can be seen
# expect: import
# ends: ProcessLookupError
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.kill(-1, 9)

    def next(self):
        pass
