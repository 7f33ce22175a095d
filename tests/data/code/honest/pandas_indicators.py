import pandas as pd
from backtesting import Strategy


def ema(values, span):
    return pd.Series(values).ewm(span=span, adjust=False).mean()


def rolling_zscore(values, window):
    series = pd.Series(values)
    return ((series - series.rolling(window).mean()) / series.rolling(window).std()).to_numpy()


class ZScore(Strategy):
    window = 30
    threshold = 1.5

    def init(self):
        self.z = self.I(rolling_zscore, self.data.Close, self.window, name="z-score")
        self.trend = self.I(ema, self.data.Close, 100, overlay=True, color="gray")

    def next(self):
        price = self.data.Close[-1]
        if self.z[-1] < -self.threshold and price > self.trend[-1]:
            self.buy(size=0.3)
        if self.z[-1] > 0 and self.position.is_long:
            self.position.close()
