"""no_lookahead: mean and deviation of the whole column."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        close = pd.Series(self.data.Close)
        self.score = self.I(lambda: (close - close.mean()) / close.std())

    def next(self):
        if not self.position:
            if self.score[-1] < -1:
                self.buy(size=0.9)
        elif self.score[-1] > 1:
            self.position.close()
