# technique: climb out of the workspace by '..'
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(open("../../../../../../genesis-canary/secret").read())

    def next(self):
        pass
