"""no_lookahead: a polynomial through all bars, its end included."""

import numpy as np
from backtesting import Strategy


class S(Strategy):
    def init(self):
        close = np.array(self.data.Close)
        steps = np.linspace(-1, 1, len(close))
        self.curve = self.I(lambda: np.polyval(np.polyfit(steps, close, 7), steps))

    def next(self):
        if not self.position:
            if self.data.Close[-1] < 0.95 * self.curve[-1]:
                self.buy(size=0.9)
        elif self.data.Close[-1] > 1.05 * self.curve[-1]:
            self.position.close()
