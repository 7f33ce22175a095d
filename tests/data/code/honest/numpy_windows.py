import numpy as np
from backtesting import Strategy
from numpy.lib.stride_tricks import sliding_window_view


def rolling_slope(values, window):
    x = np.arange(window) - (window - 1) / 2
    y = sliding_window_view(np.asarray(values, dtype=float), window)
    slopes = (y * x).sum(axis=1) / (x * x).sum()
    return np.concatenate([np.full(window - 1, np.nan), slopes])


class Slope(Strategy):
    window = 25

    def init(self):
        np.random.seed(7)
        np.seterr(all="ignore")
        self.slope = self.I(rolling_slope, self.data.Close, self.window)

    def next(self):
        with np.errstate(divide="ignore"):
            relative = np.divide(self.slope[-1], self.data.Close[-1])
        if relative > 0.001 and not self.position:
            self.buy()
        elif relative < 0 and self.position:
            self.position.close()
