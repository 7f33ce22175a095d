from abc import abstractmethod

import talib
from backtesting import Strategy


class RiskManaged(Strategy):
    risk = 0.02
    atr_mult = 3.0

    def init(self):
        self.atr = self.I(talib.ATR, self.data.High, self.data.Low, self.data.Close, 14)

    @abstractmethod
    def signal(self):
        """1, 0 or -1."""

    def next(self):
        price = self.data.Close[-1]
        side = self.signal()
        stop = self.atr_mult * self.atr[-1]
        if side > 0 and not self.position:
            units = int(self.equity * self.risk / max(stop, 1e-9))
            if units >= 1 and units * price < self.equity:
                self.buy(size=units, sl=price - stop)
        for trade in self.trades:
            if trade.is_long:
                trade.sl = max(trade.sl or 0, price - stop)


class DonchianTurtle(RiskManaged):
    window = 20

    def init(self):
        super().init()
        self.upper = self.I(talib.MAX, self.data.High, self.window)
        self.lower = self.I(talib.MIN, self.data.Low, self.window)

    def signal(self):
        if len(self.data) < 2:
            return 0
        if self.data.Close[-1] > self.upper[-2]:
            return 1
        return -1 if self.data.Close[-1] < self.lower[-2] else 0

    def next(self):
        super().next()
        if self.signal() < 0 and self.position.is_long:
            self.position.close()
