# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import random

class Hostile(Strategy):
    def init(self):
        random._os.system('id')

    def next(self):
        pass
