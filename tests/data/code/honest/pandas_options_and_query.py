import numpy as np
import pandas as pd
from backtesting import Strategy

pd.options.mode.copy_on_write = True
pd.set_option("display.width", 120)
MESSAGE = "bar {bar:>5}: {price:.2f} ({name!r})"


class Quantile(Strategy):
    window = 60

    def init(self):
        frame = self.data.df.copy()
        frame["range"] = frame["High"] - frame["Low"]
        wide = frame.query("High > Low")
        self.typical = float(wide["range"].iloc[: self.window].median())
        self.rank = self.I(
            lambda close: pd.Series(close).rolling(self.window).rank(pct=True), self.data.Close, name="rank"
        )

    def next(self):
        if self.rank[-1] > 0.9 and not self.position:
            print(MESSAGE.format(bar=len(self.data), price=self.data.Close[-1], name="enter"))
            self.buy(size=0.6)
        elif self.rank[-1] < 0.3 and self.position:
            self.position.close()
        if np.isnan(self.rank[-1]):
            return
