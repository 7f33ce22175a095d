# technique: hand getattr to functools.partial
# expect: reflection module_attribute
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy
import functools


class Hostile(Strategy):
    def init(self):
        print(functools.partial(getattr, np)("from" "file")("/genesis-canary/secret", dtype="u1"))

    def next(self):
        pass
