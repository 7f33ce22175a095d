# technique: import os out of logging under another name
# expect: module_attribute
# ends: FileNotFoundError
from backtesting import Strategy
from logging import os as tools


class Hostile(Strategy):
    def init(self):
        print(tools.listdir("/genesis-canary"))

    def next(self):
        pass
