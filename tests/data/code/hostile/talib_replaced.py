# technique: replace an indicator
# expect: patching
# ends: trades
import talib
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        talib.RSI = lambda *_, **__: 0

    def next(self):
        pass
