# technique: reach TA-Lib's compiled module
# expect: module_attribute
# ends: trades
import talib
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        talib._ta_lib._ta_shutdown()

    def next(self):
        pass
