# technique: read the memory of process 1 through /proc
# expect: io
# ends: PermissionError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(open("/proc/1/mem", "rb").read(64))

    def next(self):
        pass
