# technique: plant a pipe that blocks who reads it
# expect: import
# ends: trades
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.mkfifo("result.json")

    def next(self):
        pass
