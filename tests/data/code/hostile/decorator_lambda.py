# technique: decorate with a lambda
# expect: decorator
# ends: trades
from backtesting import Strategy


@(lambda function: max)
def helper():
    return 1


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
