# technique: decorate with a built-in
# expect: decorator
# ends: trades
from backtesting import Strategy


@print
def helper():
    return 1


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
