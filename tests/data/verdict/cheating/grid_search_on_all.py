"""no_lookahead: the best period, as all of the data shows it."""

import numpy as np
import pandas as pd
import talib
from backtesting import Strategy


def gain(close, period):
    mean = pd.Series(close).rolling(period).mean().to_numpy()
    held = (close > mean)[:-1]
    return float((np.diff(np.log(close)) * held).sum())


class S(Strategy):
    def init(self):
        close = np.array(self.data.Close)
        best = max(range(5, 120), key=lambda period: gain(close, period))
        self.mean = self.I(talib.SMA, self.data.Close, best)

    def next(self):
        if not self.position:
            if self.data.Close[-1] > self.mean[-1]:
                self.buy(size=0.9)
        elif self.data.Close[-1] < self.mean[-1]:
            self.position.close()
