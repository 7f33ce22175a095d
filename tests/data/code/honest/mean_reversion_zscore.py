import numpy as np
from backtesting import Strategy


class ZScore(Strategy):
    n = 25
    limit = 1.5

    def init(self):
        self.z = self.I(self._zscore, self.data.Close, self.n, name=f"z({self.n})", overlay=False)

    @staticmethod
    def _zscore(values, n):
        out = np.full(len(values), np.nan)
        for i in range(n - 1, len(values)):
            window = values[i - n + 1 : i + 1]
            spread = window.std()
            out[i] = (values[i] - window.mean()) / spread if spread else 0.0
        return out

    def next(self):
        z = self.z[-1]
        if z < -self.limit and not self.position.is_long:
            self.position.close()
            self.buy(size=0.5)
        elif z > self.limit and not self.position.is_short:
            self.position.close()
            self.sell(size=0.5)
        elif abs(z) < 0.2:
            self.position.close()
