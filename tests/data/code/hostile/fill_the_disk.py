# technique: write until the disk is full
# expect: io
# ends: OSError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        with open("big", "wb") as sink:
            for _ in range(100_000):
                sink.write(bytes(1 << 20))

    def next(self):
        pass
