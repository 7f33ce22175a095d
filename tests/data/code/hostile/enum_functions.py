# technique: take builtins from enum
# expect: module_attribute
# ends: FileNotFoundError
from backtesting import Strategy
import enum


class Hostile(Strategy):
    def init(self):
        enum.bltns.open("/genesis-canary/secret")
        enum.sys.exit()

    def next(self):
        pass
