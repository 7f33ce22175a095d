import numpy as np
from backtesting import Strategy


def heikin_ashi(opens, highs, lows, closes):
    close = (opens + highs + lows + closes) / 4
    open_ = np.empty_like(close)
    open_[0] = (opens[0] + closes[0]) / 2
    for i in range(1, len(close)):
        open_[i] = (open_[i - 1] + close[i - 1]) / 2
    return open_, close


class HeikinAshi(Strategy):
    def init(self):
        d = self.data
        self.ha = self.I(heikin_ashi, d.Open, d.High, d.Low, d.Close)

    def next(self):
        opens, closes = self.ha
        rising = all(closes[-i] > opens[-i] for i in (1, 2, 3))
        if rising and not self.position:
            self.buy(size=0.8)
        elif closes[-1] < opens[-1] and self.position:
            self.position.close()
