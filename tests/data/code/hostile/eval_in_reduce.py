# technique: hand eval to functools.reduce
# expect: dynamic_code
# ends: FileNotFoundError
from backtesting import Strategy
import functools


class Hostile(Strategy):
    def init(self):
        print(functools.reduce(eval, ["open('/genesis-canary/secret').read()", {}]))

    def next(self):
        pass
