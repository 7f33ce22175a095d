# technique: make the data longer than the present bar
# expect: engine_internals
# ends: IndexError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        self.data._set_length(10**6)
        print(self.data.Close[-1])
