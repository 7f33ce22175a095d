# technique: load a program into the kernel
# expect: import
# ends: trades
from backtesting import Strategy
import ctypes


class Hostile(Strategy):
    def init(self):
        libc = ctypes.CDLL(None, use_errno=True)
        print("bpf", libc.syscall(321, 0, 0, 0), ctypes.get_errno())

    def next(self):
        pass
