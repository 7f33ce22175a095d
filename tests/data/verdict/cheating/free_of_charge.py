"""score_verified: pays no commission."""

import backtesting.backtesting as engine
import talib
from backtesting import Strategy


engine._Broker._commission_func = lambda self, size, price: 0.0


class S(Strategy):
    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, 14)

    def next(self):
        if not self.position:
            if self.rsi[-1] < 40:
                self.buy(size=0.9)
        elif self.rsi[-1] > 60:
            self.position.close()
