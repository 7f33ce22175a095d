# technique: make an array larger than memory
# expect: huge
# ends: MemoryError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        kept = np.ones((100_000, 100_000))

    def next(self):
        pass
