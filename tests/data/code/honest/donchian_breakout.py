import pandas as pd
from backtesting import Strategy


def highest(values, n):
    return pd.Series(values).rolling(n).max().shift(1)


def lowest(values, n):
    return pd.Series(values).rolling(n).min().shift(1)


class Donchian(Strategy):
    entry = 20
    leave = 10

    def init(self):
        self.high = self.I(highest, self.data.High, self.entry)
        self.low = self.I(lowest, self.data.Low, self.leave)

    def next(self):
        price = self.data.Close[-1]
        if not self.position and price > self.high[-1]:
            self.buy()
        elif self.position and price < self.low[-1]:
            self.position.close()
