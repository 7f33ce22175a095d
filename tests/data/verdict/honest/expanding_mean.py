"""Normalises by all that has been, and nothing else."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        self.mean = self.I(lambda close: pd.Series(close).expanding(30).mean(), self.data.Close)
        self.high = self.I(lambda close: pd.Series(close).cummax(), self.data.Close)

    def next(self):
        if not self.position:
            if self.data.Close[-1] > 1.1 * self.mean[-1]:
                self.buy(size=0.9)
        elif self.data.Close[-1] < 0.85 * self.high[-1]:
            self.position.close()
