# technique: share memory with other processes
# expect: import huge
# ends: MemoryError
from backtesting import Strategy
import mmap


class Hostile(Strategy):
    def init(self):
        while mmap.mmap(-1, 1 << 30).write(bytes(1 << 30)):
            pass

    def next(self):
        pass
