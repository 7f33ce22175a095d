# technique: write with an array's own tofile
# expect: io
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        np.arange(3).tofile("/genesis-canary/drop/array")

    def next(self):
        pass
