# technique: read text with numpy.genfromtxt
# expect: io
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(np.genfromtxt("/genesis-canary/secret", dtype=str))

    def next(self):
        pass
