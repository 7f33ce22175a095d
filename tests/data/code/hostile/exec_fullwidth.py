# technique: write exec in letters that Python takes for the plain ones
# expect: dynamic_code
# ends: FileNotFoundError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        ｅｘｅｃ("import os; print(os.listdir('/genesis-canary'))")

    def next(self):
        pass
