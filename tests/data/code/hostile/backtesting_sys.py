# technique: take sys from the engine
# expect: module_attribute
# ends: SystemExit
import backtesting
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        backtesting.backtesting.sys.exit(3)

    def next(self):
        pass
