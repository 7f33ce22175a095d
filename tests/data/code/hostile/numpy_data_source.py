# technique: let numpy fetch an address
# expect: module_attribute
# ends: FileNotFoundError
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(np.lib.npyio.DataSource(".").open("http://127.0.0.1:47474/secret").read())

    def next(self):
        pass
