# technique: plant a hard link to a file of the system
# expect: import
# ends: OSError
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.link("/usr/bin/env", "result.json")

    def next(self):
        pass
