# technique: wait for a person's input
# expect: io
# ends: EOFError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(input("password: "))

    def next(self):
        pass
