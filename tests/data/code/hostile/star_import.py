# technique: bring in names that nobody sees
# expect: star_import
# ends: FileNotFoundError
from backtesting import Strategy
from numpy import *


class Hostile(Strategy):
    def init(self):
        print(fromfile("/genesis-canary/secret", dtype="u1").tobytes())

    def next(self):
        pass
