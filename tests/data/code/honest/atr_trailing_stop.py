import numpy as np
import talib
from backtesting import Strategy


class AtrTrail(Strategy):
    multiple = 2.5

    def init(self):
        self.atr = self.I(talib.ATR, self.data.High, self.data.Low, self.data.Close, 14)
        self.trend = self.I(talib.EMA, self.data.Close, 30)

    def next(self):
        price, width = self.data.Close[-1], self.multiple * self.atr[-1]
        if np.isnan(width):
            return
        for trade in self.trades:
            if trade.is_long:
                trade.sl = max(trade.sl or -np.inf, price - width)
        if not self.position and price > self.trend[-1]:
            self.buy(size=0.95, sl=price - width)
