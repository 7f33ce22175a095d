# technique: ignore what would end the trial
# expect: import endless_loop
# ends: Timeout
from backtesting import Strategy
import signal


class Hostile(Strategy):
    def init(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            pass

    def next(self):
        pass
