# technique: map a file into memory
# expect: io
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        view = np.memmap("/genesis-canary/secret", mode="r+", dtype=np.uint8)
        view[0] = 0

    def next(self):
        pass
