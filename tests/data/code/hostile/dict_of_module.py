# technique: read a module's dictionary
# expect: dunder module_attribute
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(np.__dict__["fromfile"]("/genesis-canary/secret", dtype="u1").tobytes())

    def next(self):
        pass
