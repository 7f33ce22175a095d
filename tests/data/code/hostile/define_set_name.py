# technique: act when a class gets an attribute
# expect: dunder
# ends: trades
from backtesting import Strategy


class Descriptor:
    def __set_name__(self, owner, name):
        print(owner, name)


class Owner:
    field = Descriptor()


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
