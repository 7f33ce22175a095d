# technique: take os from logging
# expect: module_attribute process
# ends: trades
from backtesting import Strategy
import logging


class Hostile(Strategy):
    def init(self):
        logging.os.system("cat /genesis-canary/secret")

    def next(self):
        pass
