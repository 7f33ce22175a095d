# technique: plant a link to a file of the host
# expect: import
# ends: trades
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.symlink("/genesis-canary/secret", "result.json")

    def next(self):
        pass
