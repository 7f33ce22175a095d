# technique: reach the C library through numpy.ctypeslib
# expect: module_attribute process
# ends: trades
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(np.ctypeslib.ctypes.CDLL(None).system(b"cat /genesis-canary/secret"))

    def next(self):
        pass
