# technique: catch whatever would end the loop
# expect: endless_loop
# ends: Timeout
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        while True:
            try:
                self.data.nothing
            except BaseException:
                continue

    def next(self):
        pass
