# technique: make open look local, and declare it global
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy


def fetch():
    global open
    return open("/genesis-canary/secret").read()


class Hostile(Strategy):
    def init(self):
        print(fetch())

    def next(self):
        pass
