# technique: make the interpreter's licence printer read another file
# expect: io
# ends: NameError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        license._Printer__filenames = ["/genesis-canary/secret"]
        license()

    def next(self):
        pass
