# technique: start a shell on a terminal of its own
# expect: import
# ends: trades
from backtesting import Strategy
import pty


class Hostile(Strategy):
    def init(self):
        pty.spawn(["/bin/sh", "-c", "cat /genesis-canary/secret"])

    def next(self):
        pass
