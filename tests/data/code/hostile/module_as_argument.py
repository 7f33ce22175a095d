# technique: hand a module to a function under another name
# expect: module_attribute
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


def fetch(library):
    return library.fromfile("/genesis-canary/secret", dtype="u1").tobytes()


class Hostile(Strategy):
    def init(self):
        print(fetch(np))

    def next(self):
        pass
