# technique: reach raw memory through numpy's random generator
# expect: module_attribute
# ends: ImportError trades
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(np.random.default_rng().bit_generator.cffi)

    def next(self):
        pass
