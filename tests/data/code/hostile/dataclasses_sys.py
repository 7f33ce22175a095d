# technique: take sys from dataclasses
# expect: module_attribute
# ends: FileNotFoundError
from backtesting import Strategy
import dataclasses


class Hostile(Strategy):
    def init(self):
        print(dataclasses.sys.modules["posix"].listdir("/genesis-canary"))

    def next(self):
        pass
