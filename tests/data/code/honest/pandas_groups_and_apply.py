import pandas as pd
from backtesting import Strategy


def month_mean(values, index):
    series = pd.Series(values, index=index)
    monthly = series.groupby([series.index.year, series.index.month]).agg("mean")
    keys = list(zip(series.index.year, series.index.month))
    previous = monthly.shift(1).to_dict()
    return pd.Series([previous[key] for key in keys], index=index)


class Monthly(Strategy):
    def init(self):
        close = self.data.Close
        self.reference = self.I(month_mean, close, close.s.index)
        returns = close.s.pct_change().apply(lambda value: round(value, 4)).transform("abs")
        print(returns.describe().to_string())

    def next(self):
        if self.data.Close[-1] > self.reference[-1] and not self.position:
            self.buy(size=0.5)
        elif self.data.Close[-1] < self.reference[-1]:
            self.position.close()
