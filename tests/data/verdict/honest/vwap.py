"""Volume-weighted mean by running sums."""

import pandas as pd
from backtesting import Strategy


def vwap(high, low, close, volume, window):
    worth = pd.Series((high + low + close) / 3 * volume).rolling(window).sum()
    return worth / pd.Series(volume).rolling(window).sum()


class S(Strategy):
    def init(self):
        data = self.data
        self.fair = self.I(vwap, data.High, data.Low, data.Close, data.Volume, 30)

    def next(self):
        price = self.data.Close[-1]
        if not self.position and price < 0.95 * self.fair[-1]:
            self.buy(size=0.7, sl=0.9 * price, tp=1.08 * price)
