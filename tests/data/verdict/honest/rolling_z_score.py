"""Normalises by what the window holds."""

import pandas as pd
from backtesting import Strategy


def z_score(values, window):
    series = pd.Series(values)
    rolling = series.rolling(window)
    return (series - rolling.mean()) / rolling.std()


class S(Strategy):
    def init(self):
        self.score = self.I(z_score, self.data.Close, 60)

    def next(self):
        if not self.position:
            if self.score[-1] < -1.5:
                self.buy(size=0.9)
        elif self.score[-1] > 0:
            self.position.close()
