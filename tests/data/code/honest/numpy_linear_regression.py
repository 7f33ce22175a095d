import numpy as np
from backtesting import Strategy

linalg = np.linalg


def slope(values, n):
    x = np.column_stack([np.ones(n), np.arange(n)])
    projection = linalg.pinv(x)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(values), n)
    return np.concatenate([np.full(n - 1, np.nan), (windows @ projection.T)[:, 1]])


class Regression(Strategy):
    n = 20

    def init(self):
        self.slope = self.I(slope, self.data.Close, self.n)

    def next(self):
        if self.slope[-1] > 0 and not self.position:
            self.buy(size=0.5)
        elif self.slope[-1] < 0 and self.position:
            self.position.close()
