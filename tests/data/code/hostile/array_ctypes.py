# technique: reach ctypes through an array, and write past its end
# expect: module_attribute
# ends: NoReport
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        np.zeros(1).ctypes.data_as(np.zeros(1).ctypes._ctypes.POINTER(np.zeros(1).ctypes._ctypes.c_long))[
            1 << 40
        ] = 1

    def next(self):
        pass
