# technique: print without end
# expect: endless_loop
# ends: Timeout trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        while True:
            print("x" * 100_000)

    def next(self):
        pass
