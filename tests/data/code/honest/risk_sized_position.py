import math

import talib
from backtesting import Strategy


class RiskSized(Strategy):
    """Risks one per cent of equity a trade: size in whole shares."""

    risk = 0.01

    def init(self):
        self.slow = self.I(talib.SMA, self.data.Close, 50)
        self.fast = self.I(talib.SMA, self.data.Close, 10)
        self.width = self.I(talib.ATR, self.data.High, self.data.Low, self.data.Close, 20)

    def next(self):
        if self.position:
            if self.fast[-1] < self.slow[-1]:
                self.position.close()
            return
        if self.fast[-1] > self.slow[-1] and self.width[-1] > 0:
            shares = math.floor(self.equity * self.risk / (2 * self.width[-1]))
            affordable = int(self.equity * 0.9 // self.data.Close[-1])
            if (size := min(shares, affordable)) > 0:
                self.buy(size=size, sl=self.data.Close[-1] - 2 * self.width[-1])
