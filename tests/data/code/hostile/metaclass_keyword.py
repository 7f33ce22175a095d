# technique: call a function in place of making a class
# expect: metaclass
# ends: trades
from backtesting import Strategy


class Printed(metaclass=print):
    pass


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
