# technique: import the engine's plotting, which writes files
# expect: import module_attribute process
# ends: AttributeError
import backtesting
from backtesting import Strategy
import backtesting._plotting as plotting


class Hostile(Strategy):
    def init(self):
        plotting.os.system("cat /genesis-canary/secret")

    def next(self):
        pass
