# technique: import a module by naming it as a plotting backend
# expect: io
# ends: ValueError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        self.data.df.plot(backend="antigravity")

    def next(self):
        pass
