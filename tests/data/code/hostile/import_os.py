# technique: run a command with os.system
# expect: import process
# ends: trades
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        print(os.system("cat /genesis-canary/secret; touch /genesis-canary/drop/system"))

    def next(self):
        pass
