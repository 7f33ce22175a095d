# technique: give the strategy another class
# expect: dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        class Other(Strategy):
            def init(self):
                pass

            def next(self):
                pass

        self.__class__ = Other

    def next(self):
        pass
