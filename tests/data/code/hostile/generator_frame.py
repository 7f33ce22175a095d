# technique: reach the caller's frame from a generator
# expect: frame
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        steps = (steps.gi_frame.f_back.f_back for _ in [1])
        print(next(steps))

    def next(self):
        pass
