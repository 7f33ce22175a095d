# technique: act when somebody derives a class
# expect: dunder
# ends: trades
from backtesting import Strategy


class Trap:
    def __init_subclass__(cls):
        print("derived")


class Hostile(Strategy):
    def init(self):
        class Caught(Trap):
            pass

    def next(self):
        pass
