# technique: read another process's environment
# expect: io
# ends: PermissionError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(open("/proc/1/environ", "rb").read())

    def next(self):
        pass
