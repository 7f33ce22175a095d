"""Knows a week only once the next has begun."""

import pandas as pd
from backtesting import Strategy


def weekly_mean(close, index, weeks):
    daily = pd.Series(close, index=index)
    weekly = daily.resample("W-FRI").last().rolling(weeks).mean().shift(1)
    return weekly.reindex(index, method="ffill")


class S(Strategy):
    def init(self):
        self.mean = self.I(weekly_mean, self.data.Close, self.data.index, 10)

    def next(self):
        if not self.position:
            if self.data.Close[-1] > self.mean[-1]:
                self.buy(size=0.9)
        elif self.data.Close[-1] < self.mean[-1]:
            self.position.close()
