# technique: nest an expression until the parser falls
# expect: nesting
# ends: trades
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        print(((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))

    def next(self):
        pass
