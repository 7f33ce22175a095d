"""Needs two hundred bars before it says anything."""

import talib
from backtesting import Strategy


class S(Strategy):
    def init(self):
        self.slow = self.I(talib.EMA, self.data.Close, 200)
        self.fast = self.I(talib.EMA, self.data.Close, 20)

    def next(self):
        if not self.position:
            if self.fast[-1] > self.slow[-1]:
                self.buy(size=0.9)
        elif self.fast[-1] < self.slow[-1]:
            self.position.close()
