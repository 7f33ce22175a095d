"""Buys when the RSI is low, sells when it is high."""

import talib
from backtesting import Strategy


class WindowsLines(Strategy):
    rsi_period = 14
    oversold = 30
    overbought = 70

    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, self.rsi_period)

    def next(self):
        if not self.position and self.rsi[-1] < self.oversold:
            self.buy(size=0.95)
        elif self.position and self.rsi[-1] > self.overbought:
            self.position.close()
