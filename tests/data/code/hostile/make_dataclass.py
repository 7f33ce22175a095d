# technique: smuggle code in the field names of a dataclass
# expect: module_attribute
# ends: trades
from backtesting import Strategy
from dataclasses import make_dataclass


class Hostile(Strategy):
    def init(self):
        print(make_dataclass("X", [("a", "int", 1)], namespace={"run": lambda self: self}))

    def next(self):
        pass
