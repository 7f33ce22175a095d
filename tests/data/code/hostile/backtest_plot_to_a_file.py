# technique: let the engine's plot write a page
# expect: io
# ends: RuntimeError
from backtesting import Strategy
from backtesting import Backtest


class Quiet(Strategy):
    def init(self):
        pass

    def next(self):
        pass


class Hostile(Strategy):
    def init(self):
        inner = Backtest(self.data.df, Quiet)
        inner.run()
        inner.plot(filename="/genesis-canary/drop/page.html", open_browser=False)

    def next(self):
        pass
