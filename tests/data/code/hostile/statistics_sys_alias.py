# technique: take sys from statistics through an alias
# expect: module_attribute
# ends: FileNotFoundError
from backtesting import Strategy
import statistics as numbers_of_all

inner = numbers_of_all.sys


class Hostile(Strategy):
    def init(self):
        print(inner.modules["posix"].listdir("/genesis-canary"))

    def next(self):
        pass
