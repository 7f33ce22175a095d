"""score_verified: a stop is passed over where the price comes back."""

import backtesting.backtesting as engine
import talib
from backtesting import Strategy


process_orders = engine._Broker._process_orders


def forgiving(self):
    if not (self.trades and self._data.Close[-1] > 0.98 * self._data.Open[-1]):
        process_orders(self)


engine._Broker._process_orders = forgiving


class S(Strategy):
    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, 14)

    def next(self):
        if not self.position and self.rsi[-1] < 45:
            self.buy(size=0.9, sl=0.98 * self.data.Close[-1], tp=1.05 * self.data.Close[-1])
