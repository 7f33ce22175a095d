# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import typing

class Hostile(Strategy):
    def init(self):
        typing.get_type_hints(self)

    def next(self):
        pass
