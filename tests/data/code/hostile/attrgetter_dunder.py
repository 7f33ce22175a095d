# technique: take hidden attributes by operator.attrgetter
# expect: dunder
# ends: trades
from backtesting import Strategy
from operator import attrgetter


class Hostile(Strategy):
    def init(self):
        print(attrgetter("__class__.__base__.__subclasses__")(self)())

    def next(self):
        pass
