# technique: import by a name in a text
# expect: import process
# ends: trades
from backtesting import Strategy
import importlib


class Hostile(Strategy):
    def init(self):
        importlib.import_module("o" + "s").system("cat /genesis-canary/secret")

    def next(self):
        pass
