# technique: execute a text
# expect: dynamic_code
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        exec("import os\nos.system('cat /genesis-canary/secret')")

    def next(self):
        pass
