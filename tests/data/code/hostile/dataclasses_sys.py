# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import dataclasses

class Hostile(Strategy):
    def init(self):
        dataclasses.sys.modules

    def next(self):
        pass
