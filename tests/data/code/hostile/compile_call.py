# technique: compile a text
# expect: dynamic_code
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(compile("import os", "x", "exec"))

    def next(self):
        pass
