"""Breaks out of the channel of the bars before."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        self.upper = self.I(lambda high: pd.Series(high).rolling(20).max().shift(1), self.data.High)
        self.lower = self.I(lambda low: pd.Series(low).rolling(10).min().shift(1), self.data.Low)

    def next(self):
        if not self.position:
            if self.data.Close[-1] > self.upper[-1]:
                self.buy(size=0.9)
        elif self.data.Close[-1] < self.lower[-1]:
            self.position.close()
