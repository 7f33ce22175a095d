# technique: log to a file of the host
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy
import logging


class Hostile(Strategy):
    def init(self):
        logging.basicConfig(filename="/genesis-canary/drop/log")

    def next(self):
        pass
