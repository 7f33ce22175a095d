# technique: read the secrets of the environment
# expect: import
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        from os import environ

        print(dict(environ))

    def next(self):
        pass
