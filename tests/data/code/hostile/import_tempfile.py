# technique: write to the shared temporary directory
# expect: import
# ends: FileNotFoundError
from backtesting import Strategy
import tempfile


class Hostile(Strategy):
    def init(self):
        print(tempfile.mkstemp(dir="/genesis-canary/drop"))

    def next(self):
        pass
