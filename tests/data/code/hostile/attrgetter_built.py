# technique: build the name for operator.attrgetter
# expect: reflection
# ends: trades
from backtesting import Strategy
import operator


class Hostile(Strategy):
    def init(self):
        print(operator.attrgetter("_bro" + "ker")(self))

    def next(self):
        pass
