# technique: make a user namespace to be root in
# expect: import
# ends: trades
from backtesting import Strategy
import ctypes


class Hostile(Strategy):
    def init(self):
        libc = ctypes.CDLL(None, use_errno=True)
        print("unshare", libc.unshare(0x10000000), ctypes.get_errno())

    def next(self):
        pass
