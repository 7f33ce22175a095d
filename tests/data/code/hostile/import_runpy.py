# technique: run a file as a program
# expect: import
# ends: FileNotFoundError
from backtesting import Strategy
import runpy


class Hostile(Strategy):
    def init(self):
        runpy.run_path("/genesis-canary/secret")

    def next(self):
        pass
