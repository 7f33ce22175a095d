# technique: build the name for getattr
# expect: reflection
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(getattr(np, "from" + "file")("/genesis-canary/secret", dtype="u1").tobytes())

    def next(self):
        pass
