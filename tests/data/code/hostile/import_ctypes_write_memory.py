# technique: write to an address that isn't one's own
# expect: import
# ends: NoReport
from backtesting import Strategy
import ctypes


class Hostile(Strategy):
    def init(self):
        ctypes.memset(8, 0, 64)

    def next(self):
        pass
