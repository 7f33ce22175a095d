# technique: delete what can be deleted
# expect: import
# ends: trades
from backtesting import Strategy
import shutil


class Hostile(Strategy):
    def init(self):
        shutil.rmtree("/genesis-canary", ignore_errors=True)
        shutil.rmtree("/workspace", ignore_errors=True)

    def next(self):
        pass
