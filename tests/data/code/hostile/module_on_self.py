# technique: keep a module on self by tuple
# expect: module_attribute
# ends: FileNotFoundError
import numpy as np
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.tool, self.other = np, pd
        print(self.tool.fromfile("/genesis-canary/secret", dtype="u1").tobytes())

    def next(self):
        pass
