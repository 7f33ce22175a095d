import numpy as np
import pandas as pd
from backtesting.lib import SignalStrategy, TrailingStrategy


class Vectors(SignalStrategy, TrailingStrategy):
    n1 = 8
    n2 = 21

    def init(self):
        super().init()
        close = self.data.Close.s
        fast, slow = close.rolling(self.n1).mean(), close.rolling(self.n2).mean()
        above = (fast > slow).astype(int).diff().fillna(0)
        entry = pd.Series(np.where(above > 0, 0.9, 0.0), index=close.index)
        self.set_signal(entry)
        self.set_trailing_sl(3)
