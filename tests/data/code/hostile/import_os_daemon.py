# technique: leave a daemon behind by forking twice
# expect: import process
# ends: trades
from backtesting import Strategy
import os
import time


class Hostile(Strategy):
    def init(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)

    def next(self):
        pass
