# technique: declare another encoding, so that another code runs than was read
# expect: encoding
# ends: trades
# -*- coding: utf-7 -*-
from backtesting import Strategy



class Hostile(Strategy):
    def init(self):
        print("+AG8AcwAu-")

    def next(self):
        pass
