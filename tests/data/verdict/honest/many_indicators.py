"""Five indicators, both sides, limit orders, stops and targets."""

import talib
from backtesting import Strategy


class S(Strategy):
    def init(self):
        data = self.data
        self.rsi = self.I(talib.RSI, data.Close, 14)
        self.bands = self.I(talib.BBANDS, data.Close, 20)
        self.adx = self.I(talib.ADX, data.High, data.Low, data.Close, 14)
        self.macd = self.I(talib.MACD, data.Close)
        self.trend = [self.I(talib.SMA, data.Close, period) for period in (50, 100)]

    def next(self):
        price = self.data.Close[-1]
        up = self.trend[0][len(self.data) - 1] > self.trend[1][len(self.data) - 1]
        for order in self.orders:
            if not order.is_contingent:
                order.cancel()
        if self.position:
            if abs(self.rsi[-1] - 50) < 2 or self.adx[-1] < 15:
                self.position.close()
        elif up and self.rsi[-1] < 45 and self.macd[0][-1] > self.macd[1][-1]:
            self.buy(size=0.4, limit=0.99 * price, sl=0.93 * price, tp=1.1 * price)
        elif not up and price > self.bands[0][-1]:
            self.sell(size=0.4, sl=1.05 * price, tp=0.9 * price)
