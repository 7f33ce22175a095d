# technique: take memory without end
# expect: endless_loop
# ends: MemoryError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        kept = []
        while True:
            kept.append(bytes(50_000_000))

    def next(self):
        pass
