# technique: take the private sys of collections
# expect: module_attribute
# ends: FileNotFoundError
from backtesting import Strategy
import collections


class Hostile(Strategy):
    def init(self):
        print(collections._sys.modules["posix"].listdir("/genesis-canary"))

    def next(self):
        pass
