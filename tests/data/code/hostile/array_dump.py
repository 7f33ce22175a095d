# technique: pickle an array to a file
# expect: io
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        np.arange(3).dump("/genesis-canary/drop/dumped")

    def next(self):
        pass
