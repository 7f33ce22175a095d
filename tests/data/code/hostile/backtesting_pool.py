# technique: start processes with the engine's pool
# expect: module_attribute
# ends: trades
import backtesting
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(list(backtesting.Pool(2).map(abs, [1])))

    def next(self):
        pass
