from functools import partial, reduce
from operator import attrgetter, itemgetter, mul

import numpy as np
from backtesting import Strategy


def smooth(n, values):
    weights = np.arange(1, n + 1, dtype=float)
    return np.convolve(values, weights[::-1] / weights.sum())[: len(values)]


STEPS = (partial(smooth, 3), partial(smooth, 5), np.log)


class Pipeline(Strategy):
    def init(self):
        self.line = self.I(lambda values: reduce(lambda x, f: f(x), STEPS, values), self.data.Close)
        self.scale = reduce(mul, [1, 2, 3])

    def next(self):
        if len(self.data) < 12:
            return
        last, before = itemgetter(-1, -4)(self.line)
        if last > before and not self.position:
            self.buy(size=0.6)
        elif last < before and self.trades:
            oldest = min(self.trades, key=attrgetter("entry_bar"))
            oldest.close()
