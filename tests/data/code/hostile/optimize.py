# technique: start the engine's optimizer inside a trial
# expect: process
# ends: AttributeError trades PermissionError OSError RuntimeError
from backtesting import Strategy


class Quiet(Strategy):
    n = 1

    def init(self):
        pass

    def next(self):
        pass


class Hostile(Strategy):
    def init(self):
        from backtesting import Backtest

        print(Backtest(self.data.df, Quiet).optimize(n=range(1, 3)))

    def next(self):
        pass
