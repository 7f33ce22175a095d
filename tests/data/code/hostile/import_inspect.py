# technique: walk up the stack
# expect: import frame dunder
# ends: trades
from backtesting import Strategy
import inspect


class Hostile(Strategy):
    def init(self):
        print(inspect.stack()[1].frame.f_globals["__name__"])

    def next(self):
        pass
