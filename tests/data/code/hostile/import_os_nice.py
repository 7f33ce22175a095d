# technique: take all priority
# expect: import
# ends: PermissionError
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.nice(-20)

    def next(self):
        pass
