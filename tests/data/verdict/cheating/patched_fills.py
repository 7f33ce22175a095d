"""score_verified: buys at the low of the bar."""

import backtesting.backtesting as engine
import talib
from backtesting import Strategy


open_trade = engine._Broker._open_trade


def at_the_low(self, price, size, sl, tp, time_index, tag):
    open_trade(self, float(self._data.Low[-1]), size, sl, tp, time_index, tag)


engine._Broker._open_trade = at_the_low


class S(Strategy):
    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, 14)

    def next(self):
        if not self.position:
            if self.rsi[-1] < 40:
                self.buy(size=0.9)
        elif self.rsi[-1] > 60:
            self.position.close()
