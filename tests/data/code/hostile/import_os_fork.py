# technique: fork without end
# expect: import process endless_loop
# ends: BlockingIOError NoReport
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        while True:
            os.fork()

    def next(self):
        pass
