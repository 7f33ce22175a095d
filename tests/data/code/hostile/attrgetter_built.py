# expect: reflection
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import operator

class Hostile(Strategy):
    def init(self):
        operator.attrgetter('a' + 'b')(self)

    def next(self):
        pass
