# technique: hand open to sorted as its key
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(sorted(["/genesis-canary/secret"], key=open))

    def next(self):
        pass
