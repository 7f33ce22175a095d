# technique: make a device node
# expect: import
# ends: PermissionError
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.mknod("disk", 0o60660, os.makedev(8, 0))

    def next(self):
        pass
