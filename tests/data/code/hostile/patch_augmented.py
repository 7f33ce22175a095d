# technique: change a module's number by an augmented assignment
# expect: patching
# ends: trades
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        np.pi *= 2

    def next(self):
        pass
