# technique: unpickle with numpy.load
# expect: io
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(np.load("/genesis-canary/secret", allow_pickle=True))

    def next(self):
        pass
