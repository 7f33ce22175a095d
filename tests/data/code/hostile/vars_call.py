# technique: read a module's names as a dictionary
# expect: reflection module_attribute
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(vars(np)["fromfile"]("/genesis-canary/secret", dtype="u1").tobytes())

    def next(self):
        pass
