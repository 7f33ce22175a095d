# technique: resolve a name to an object
# expect: import
# ends: trades
from backtesting import Strategy
import pkgutil


class Hostile(Strategy):
    def init(self):
        pkgutil.resolve_name("os:system")("cat /genesis-canary/secret")

    def next(self):
        pass
