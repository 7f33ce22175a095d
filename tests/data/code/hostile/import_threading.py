# technique: start threads without end
# expect: import
# ends: RuntimeError NoReport
from backtesting import Strategy
import threading
import time


class Hostile(Strategy):
    def init(self):
        for _ in range(10_000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

    def next(self):
        pass
