# technique: read bytes with numpy.fromfile
# expect: io
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(bytes(np.fromfile("/genesis-canary/secret", dtype=np.uint8)))

    def next(self):
        pass
