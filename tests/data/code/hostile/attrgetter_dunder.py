# expect: dunder
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

from operator import attrgetter

class Hostile(Strategy):
    def init(self):
        attrgetter('__class__.__base__')(self)

    def next(self):
        pass
