"""open, input, vars and exit are ordinary names inside a function."""

import numpy as np
from backtesting import Strategy


class RangeBreak(Strategy):
    lookback = 20

    def init(self):
        self.highest = self.I(self.rolling_max, self.data.High, self.lookback)

    @staticmethod
    def rolling_max(values, n):
        input = np.asarray(values, dtype=float)
        out = np.full(len(input), np.nan)
        for i in range(n - 1, len(input)):
            out[i] = input[i - n + 1 : i + 1].max()
        return out

    def next(self):
        open, high, low, close = (self.data.Open[-1], self.data.High[-1], self.data.Low[-1], self.data.Close[-1])
        enter = close > open and len(self.data) > 2 and close > self.highest[-2]
        exit = close < (high + low) / 2 and close < open
        if enter and not self.position:
            self.buy(size=0.5)
        elif exit and self.position:
            self.position.close()
