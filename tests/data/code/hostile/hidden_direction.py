# technique: turn the direction of reading, so that a person sees another code
# expect: hidden_text
# ends: trades
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        level = "admin‮ ⁦# only for tests⁩ ⁦"
        print(level)

    def next(self):
        pass
