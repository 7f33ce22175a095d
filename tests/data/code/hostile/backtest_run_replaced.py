# technique: replace the engine's run
# expect: patching
# ends: trades
import backtesting
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        backtesting.Backtest.run = lambda *_, **__: 1e9

    def next(self):
        pass
