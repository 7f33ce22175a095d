import random

import numpy as np
import talib
from backtesting import Strategy


class LimitPullback(Strategy):
    pullback = 0.01

    def init(self):
        random.seed(1)
        self.system = "pullback"
        self.trend = self.I(talib.SMA, self.data.Close, 50)
        self.signal = self.I(np.sign, np.diff(self.data.Close, prepend=self.data.Close[0]))

    def next(self):
        for order in self.orders:
            if not order.is_contingent:
                order.cancel()
        price = self.data.Close[-1]
        if price > self.trend[-1] and not self.position and self.signal[-1] > 0:
            self.buy(size=0.5, limit=price * (1 - self.pullback))
        elif self.position and price < self.trend[-1]:
            self.position.close()
        done = [trade.pl_pct for trade in self.closed_trades[-5:]]
        if done and sum(done) / len(done) < -0.2:
            self.position.close()
