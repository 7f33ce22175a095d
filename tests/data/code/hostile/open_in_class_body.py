# technique: read the file while the class is made
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy


class Settings:
    secret = open("/genesis-canary/secret").read()


class Hostile(Strategy):
    def init(self):
        print(Settings.secret)

    def next(self):
        pass
