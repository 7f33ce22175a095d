import talib
from backtesting import Backtest, Strategy
from backtesting.lib import crossover


class Crossing(Strategy):
    fast = 8
    slow = 24

    def init(self):
        self.one = self.I(talib.EMA, self.data.Close, self.fast)
        self.two = self.I(talib.EMA, self.data.Close, self.slow)

    def next(self):
        if crossover(self.one, self.two):
            self.buy(size=0.5)
        elif crossover(self.two, self.one):
            self.position.close()


if __name__ == "__main__":
    from backtesting.test import GOOG

    bt = Backtest(GOOG, Crossing, cash=10_000, commission=0.002)
    stats, heatmap = bt.optimize(
        fast=range(4, 12, 2),
        slow=range(16, 32, 4),
        constraint=lambda p: p.fast < p.slow,
        return_heatmap=True,
    )
    print(stats, heatmap)
    bt.plot()
