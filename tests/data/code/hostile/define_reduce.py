# technique: make pickling run a command
# expect: dunder
# ends: trades
from backtesting import Strategy


class Payload:
    def __reduce__(self):
        return (print, ("unpickled",))


class Hostile(Strategy):
    def init(self):
        import copy

        copy.copy(Payload())

    def next(self):
        pass
