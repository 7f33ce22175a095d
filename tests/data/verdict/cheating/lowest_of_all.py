"""no_lookahead: buys at the low of all data and sells at the high."""

import numpy as np
from backtesting import Strategy


class S(Strategy):
    def init(self):
        close = np.array(self.data.Close)
        self.low = int(np.argmin(close))
        self.high = self.low + int(np.argmax(close[self.low :]))

    def next(self):
        bar = len(self.data) - 1
        if bar >= self.low and not self.position and bar < self.high:
            self.buy(size=0.9)
        elif bar >= self.high and self.position:
            self.position.close()
