# technique: call __import__
# expect: import process
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        __import__("os").system("cat /genesis-canary/secret")

    def next(self):
        pass
