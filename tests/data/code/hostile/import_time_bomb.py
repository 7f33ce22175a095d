# technique: sleep past the time limit
# expect: import
# ends: Timeout
from backtesting import Strategy
import time


class Hostile(Strategy):
    def init(self):
        time.sleep(600)

    def next(self):
        pass
