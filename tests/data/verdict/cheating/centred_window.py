"""no_lookahead: a centred mean holds as many later bars as earlier ones."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        self.mean = self.I(lambda close: pd.Series(close).rolling(21, center=True).mean(), self.data.Close)

    def next(self):
        if not self.position:
            if self.data.Close[-1] < 0.97 * self.mean[-1]:
                self.buy(size=0.9)
        elif self.data.Close[-1] > self.mean[-1]:
            self.position.close()
