# technique: read the engine's private frame with the future in it
# expect: engine_internals
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(self.data._Data__df.Close.iloc[-1])

    def next(self):
        pass
