# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import statistics as st

class Hostile(Strategy):
    def init(self):
        st.sys.modules['os']

    def next(self):
        pass
