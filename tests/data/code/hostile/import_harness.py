# technique: import the server that runs the trial
# expect: import
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        from harness.workspace import Workspace

        print(Workspace("/").entries(100))

    def next(self):
        pass
