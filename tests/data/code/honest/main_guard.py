from backtesting import Backtest, Strategy
from backtesting.lib import crossover

import talib


class EmaCross(Strategy):
    fast = 20
    slow = 50

    def init(self):
        self.fast_ema = self.I(talib.EMA, self.data.Close, self.fast)
        self.slow_ema = self.I(talib.EMA, self.data.Close, self.slow)

    def next(self):
        if crossover(self.fast_ema, self.slow_ema):
            self.buy()
        elif crossover(self.slow_ema, self.fast_ema):
            self.position.close()


if __name__ == "__main__":
    from backtesting.test import GOOG

    stats = Backtest(GOOG, EmaCross, cash=10_000, commission=0.002).run()
    print(stats)
