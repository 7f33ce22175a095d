# technique: mount the host's disk
# expect: import
# ends: trades
from backtesting import Strategy
import ctypes


class Hostile(Strategy):
    def init(self):
        libc = ctypes.CDLL(None, use_errno=True)
        print("mount", libc.mount(b"/dev/sda", b"/workspace", b"ext4", 0, None), ctypes.get_errno())

    def next(self):
        pass
