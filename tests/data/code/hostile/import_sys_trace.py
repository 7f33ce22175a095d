# technique: trace the engine's own calls
# expect: import frame dunder
# ends: trades
from backtesting import Strategy
import sys


class Hostile(Strategy):
    def init(self):
        sys.settrace(lambda frame, event, value: print(frame.f_globals["__name__"]))

    def next(self):
        pass
