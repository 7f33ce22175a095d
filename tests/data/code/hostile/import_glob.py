# technique: look for private keys
# expect: import
# ends: trades
from backtesting import Strategy
import glob


class Hostile(Strategy):
    def init(self):
        print(glob.glob("/home/*/.ssh/*") + glob.glob("/root/.ssh/*") + glob.glob("/genesis-canary/*"))

    def next(self):
        pass
