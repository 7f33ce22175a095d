# technique: write with numpy.save
# expect: io
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        np.save("/genesis-canary/drop/saved.npy", np.arange(3))

    def next(self):
        pass
