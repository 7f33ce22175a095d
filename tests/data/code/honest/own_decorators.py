import functools

import numpy as np
from backtesting import Strategy


def nan_is_false(rule):
    @functools.wraps(rule)
    def wrapper(self, *args, **kwargs):
        value = rule(self, *args, **kwargs)
        return bool(value) and not np.isnan(value)

    return wrapper


class Decorated(Strategy):
    period = 15

    def init(self):
        self.mean = self.I(lambda values, n: np.convolve(values, np.ones(n) / n)[: len(values)], self.data.Close, 15)

    @property
    def price(self):
        return self.data.Close[-1]

    @nan_is_false
    def above(self):
        return float(self.price > self.mean[-1])

    @functools.cached_property
    def share(self):
        return 0.4

    def next(self):
        if self.above() and not self.position:
            self.buy(size=self.share)
        elif not self.above():
            self.position.close()
