# technique: take os from random
# expect: module_attribute
# ends: FileNotFoundError
from backtesting import Strategy
import random


class Hostile(Strategy):
    def init(self):
        print(random._os.listdir("/genesis-canary"))

    def next(self):
        pass
