"""A recursion that never forgets its first bar."""

import numpy as np
from backtesting import Strategy


def heikin_ashi(opened, high, low, close):
    closes = (opened + high + low + close) / 4
    opens = np.empty_like(closes)
    opens[0] = (opened[0] + close[0]) / 2
    for bar in range(1, len(opens)):
        opens[bar] = (opens[bar - 1] + closes[bar - 1]) / 2
    return opens, closes


class S(Strategy):
    def init(self):
        data = self.data
        self.candle = self.I(heikin_ashi, data.Open, data.High, data.Low, data.Close)

    def next(self):
        rising = self.candle[1][-3:] > self.candle[0][-3:]
        if not self.position:
            if rising.all():
                self.buy(size=0.5)
        elif not rising.any():
            self.position.close()
