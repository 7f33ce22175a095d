# technique: read a file through pathlib
# expect: import
# ends: FileNotFoundError
from backtesting import Strategy
from pathlib import Path


class Hostile(Strategy):
    def init(self):
        print(Path("/genesis-canary/secret").read_text())

    def next(self):
        pass
