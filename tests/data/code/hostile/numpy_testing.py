# technique: measure code given as a text with numpy.testing
# expect: module_attribute
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        np.testing.measure("print(open('/genesis-canary/secret').read())")

    def next(self):
        pass
