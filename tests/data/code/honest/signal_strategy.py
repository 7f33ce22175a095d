import pandas as pd
from backtesting.lib import SignalStrategy, TrailingStrategy


class TrailingSma(SignalStrategy, TrailingStrategy):
    n1 = 10
    n2 = 25

    def init(self):
        super().init()
        close = pd.Series(self.data.Close)
        sma1 = close.rolling(self.n1).mean()
        sma2 = close.rolling(self.n2).mean()
        signal = (sma1 > sma2).astype(int).diff().fillna(0)
        signal = signal.replace(-1, 0)
        self.set_signal(entry_size=signal.to_numpy() * 0.95)
        self.set_trailing_sl(2)
