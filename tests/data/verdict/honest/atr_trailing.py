"""Moves a stop at each close, never down."""

import talib
from backtesting import Strategy


class S(Strategy):
    def init(self):
        self.atr = self.I(talib.ATR, self.data.High, self.data.Low, self.data.Close, 14)
        self.mean = self.I(talib.SMA, self.data.Close, 50)

    def next(self):
        price, reach = self.data.Close[-1], 3 * self.atr[-1]
        for trade in self.trades:
            trade.sl = max(trade.sl, price - reach)
        if not self.position and price > self.mean[-1]:
            self.buy(size=0.8, sl=price - reach)
