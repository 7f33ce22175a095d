# technique: answer every attribute of an object oneself
# expect: dunder engine_internals
# ends: TypeError
from backtesting import Strategy


class Chameleon:
    def __getattribute__(self, name):
        return 1e9


class Hostile(Strategy):
    def init(self):
        self._broker = Chameleon()

    def next(self):
        pass
