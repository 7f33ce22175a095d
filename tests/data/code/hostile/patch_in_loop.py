# technique: replace as a loop's target
# expect: patching
# ends: trades
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        for np.mean in [max]:
            pass

    def next(self):
        pass
