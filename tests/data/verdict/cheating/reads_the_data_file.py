"""no_lookahead: the file holds all bars, the strategy's own view only those so far."""

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        self.known = pd.read_csv("data.csv")["Close"].tolist()

    def next(self):
        bar = len(self.data)
        later = self.known[bar : bar + 5]
        if not self.position:
            if later and max(later) > 1.02 * self.data.Close[-1]:
                self.buy(size=0.9)
        elif later and min(later) < 0.99 * self.data.Close[-1]:
            self.position.close()
