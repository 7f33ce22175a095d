# technique: build the text of a query
# expect: dynamic_code
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(self.data.df.query("Close > @self." + "data.Close[-1]"))

    def next(self):
        pass
