# technique: read the kernel's keyrings
# expect: import
# ends: trades
from backtesting import Strategy
import ctypes


class Hostile(Strategy):
    def init(self):
        libc = ctypes.CDLL(None, use_errno=True)
        print("keyctl", libc.syscall(250, 0, -3, 0), ctypes.get_errno())

    def next(self):
        pass
