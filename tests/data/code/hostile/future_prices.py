# technique: import the engine's sample prices, which hold the future
# expect: module_attribute
# ends: trades
import backtesting
from backtesting import Strategy
from backtesting.test import GOOG


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        if GOOG.Close.iloc[-1] > self.data.Close[-1]:
            self.buy()
