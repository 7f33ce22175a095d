# technique: read the kernel's memory device
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(open("/dev/mem", "rb").read(64))

    def next(self):
        pass
