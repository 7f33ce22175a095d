# technique: change what a class statement means
# expect: metaclass
# ends: trades
from backtesting import Strategy


class Meta(type):
    def __call__(cls, *args, **kwargs):
        return None


class Odd(metaclass=Meta):
    pass


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
