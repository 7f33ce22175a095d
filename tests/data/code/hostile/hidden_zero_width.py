# technique: make two names look the same
# expect: hidden_text
# ends: trades
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        size = "a​b"
        print(size)

    def next(self):
        pass
