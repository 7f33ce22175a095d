"""no_lookahead: tomorrow's close."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        self.later = self.I(lambda close: pd.Series(close).shift(-1), self.data.Close)

    def next(self):
        if not self.position:
            if self.later[-1] > self.data.Close[-1]:
                self.buy(size=0.9)
        elif self.later[-1] < self.data.Close[-1]:
            self.position.close()
