# technique: load a module anew by its specification
# expect: dunder module_attribute
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(np.__spec__.loader.get_data("/genesis-canary/secret"))

    def next(self):
        pass
