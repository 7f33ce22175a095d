# technique: put a module into a list, so that its name is lost
# expect: module_attribute
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print([np][0].fromfile("/genesis-canary/secret", dtype="u1").tobytes())

    def next(self):
        pass
