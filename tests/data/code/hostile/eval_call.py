# technique: evaluate a text
# expect: dynamic_code
# ends: FileNotFoundError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(eval("open('/genesis-canary/secret').read()"))

    def next(self):
        pass
