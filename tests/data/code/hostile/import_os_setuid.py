# technique: become root
# expect: import
# ends: PermissionError
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.setuid(0)

    def next(self):
        pass
