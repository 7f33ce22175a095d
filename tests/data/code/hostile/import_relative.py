# technique: import from the package around
# expect: import
# ends: ImportError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        from . import secrets

    def next(self):
        pass
