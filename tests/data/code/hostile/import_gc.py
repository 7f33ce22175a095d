# technique: find the engine's objects in the garbage collector
# expect: import engine_internals
# ends: trades
from backtesting import Strategy
import gc


class Hostile(Strategy):
    def init(self):
        brokers = [each for each in gc.get_objects() if type(each).__name__ == "_Broker"]
        print(len(brokers))
        for broker in brokers:
            broker._cash = 1e9

    def next(self):
        pass
