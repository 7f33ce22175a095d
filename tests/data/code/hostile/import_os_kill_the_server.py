# technique: kill the server of the sandbox
# expect: import
# ends: trades
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.kill(1, 9)
        print("still here")

    def next(self):
        pass
