# technique: take os from the modules that are loaded
# expect: import process module_attribute
# ends: trades
from backtesting import Strategy
import sys


class Hostile(Strategy):
    def init(self):
        sys.modules["os"].system("cat /genesis-canary/secret")

    def next(self):
        pass
