"""score_verified: a fraction of the money buys ten times as much."""

import backtesting.backtesting as engine
import talib
from backtesting import Strategy


engine._Broker.margin_available = property(lambda self: 10 * max(0, self.equity))


class S(Strategy):
    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, 14)

    def next(self):
        if not self.position:
            if self.rsi[-1] < 40:
                self.buy(size=0.09)
        elif self.rsi[-1] > 60:
            self.position.close()
