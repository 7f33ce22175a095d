# technique: take numpy.load by getattr with a literal name
# expect: io
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(getattr(np, "load")("/genesis-canary/secret", allow_pickle=True))

    def next(self):
        pass
