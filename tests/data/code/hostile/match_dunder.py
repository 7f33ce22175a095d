# technique: take a hidden attribute by pattern matching
# expect: dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        match self.next:
            case object(__globals__=found):
                print(found)

    def next(self):
        pass
