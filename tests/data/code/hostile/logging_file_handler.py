# technique: open a file with a log handler
# expect: module_attribute
# ends: FileNotFoundError
from backtesting import Strategy
import logging


class Hostile(Strategy):
    def init(self):
        logging.getLogger().addHandler(logging.FileHandler("/genesis-canary/drop/log"))

    def next(self):
        pass
