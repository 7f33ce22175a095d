# technique: never end
# expect: endless_loop
# ends: Timeout
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        while True:
            pass
