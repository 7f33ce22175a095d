# technique: hand open to map
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print([list(lines) for lines in map(open, ["/genesis-canary/secret"])])

    def next(self):
        pass
