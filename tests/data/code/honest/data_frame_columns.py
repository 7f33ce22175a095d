import pandas as pd
from backtesting import Strategy


class Frames(Strategy):
    """Works on copies of the data, with columns of its own."""

    def init(self):
        frame = self.data.df.copy()
        frame["typical"] = (frame.High + frame.Low + frame.Close) / 3
        frame.loc[:, "vwap"] = (frame.typical * frame.Volume).rolling(10).sum() / frame.Volume.rolling(10).sum()
        frame = frame.assign(gap=lambda f: f.Open / f.Close.shift(1) - 1).fillna({"gap": 0.0})
        self.vwap = self.I(lambda: frame["vwap"], name="vwap")
        self.gaps = self.I(lambda: frame["gap"].to_numpy(), name="gap")
        table = frame.describe().to_dict()
        self.base = table["Close"]["mean"]

    def next(self):
        row = self.data.df.iloc[-1]
        if row.Close > self.vwap[-1] and self.gaps[-1] > -0.05 and not self.position:
            self.buy(size=0.5)
        elif row["Close"] < self.vwap[-1]:
            self.position.close()
        last = pd.Timestamp(self.data.index[-1])
        if last.is_month_end:
            self.position.close()
