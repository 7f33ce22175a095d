"""Exponential means by pandas, seeded with the first value."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        close = pd.Series(self.data.Close)
        self.fast = self.I(lambda: close.ewm(span=12, adjust=False).mean())
        self.slow = self.I(lambda: close.ewm(span=48).mean())

    def next(self):
        if not self.position:
            if self.fast[-1] > self.slow[-1]:
                self.buy(size=0.9)
        elif self.fast[-1] < self.slow[-1]:
            self.position.close()
