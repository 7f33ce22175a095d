# technique: change the root directory
# expect: import
# ends: PermissionError
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.chroot("/")

    def next(self):
        pass
