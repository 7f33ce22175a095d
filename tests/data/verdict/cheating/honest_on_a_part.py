"""no_lookahead: looks ahead only where it sees the whole file."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        close = pd.Series(self.data.Close)
        whole = len(close) == 2148
        self.mean = self.I(lambda: close.shift(-5).rolling(20).mean() if whole else close.rolling(20).mean())

    def next(self):
        if not self.position:
            if self.data.Close[-1] < self.mean[-1]:
                self.buy(size=0.9)
        elif self.data.Close[-1] > self.mean[-1]:
            self.position.close()
