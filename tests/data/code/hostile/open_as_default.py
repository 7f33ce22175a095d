# technique: keep open as an argument's default value
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy


def fetch(path, how=open):
    return how(path).read()


class Hostile(Strategy):
    def init(self):
        print(fetch("/genesis-canary/secret"))

    def next(self):
        pass
