# technique: start processes of a pool
# expect: import
# ends: trades
from backtesting import Strategy
import multiprocessing


class Hostile(Strategy):
    def init(self):
        multiprocessing.get_context("fork").Process(target=print, args=("child",)).start()

    def next(self):
        pass
