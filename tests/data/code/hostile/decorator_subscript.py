# technique: decorate with an element of a list
# expect: decorator
# ends: trades
from backtesting import Strategy

tools = [repr]


@tools[0]
def helper():
    return 1


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
