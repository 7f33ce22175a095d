# technique: call the C library
# expect: import process
# ends: trades
from backtesting import Strategy
import ctypes


class Hostile(Strategy):
    def init(self):
        print(ctypes.CDLL(None).system(b"cat /genesis-canary/secret"))

    def next(self):
        pass
