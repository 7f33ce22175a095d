# technique: stop in the debugger
# expect: process
# ends: BdbQuit
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        breakpoint()
