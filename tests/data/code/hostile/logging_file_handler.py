# expect: module-attribute
import backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Strategy

import logging

class Hostile(Strategy):
    def init(self):
        logging.FileHandler('/tmp/log')

    def next(self):
        pass
