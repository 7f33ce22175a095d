# technique: leave by another process's root link
# expect: io
# ends: PermissionError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(open("/proc/1/root/genesis-canary/secret").read())

    def next(self):
        pass
