# technique: take os from pandas's inner modules
# expect: module_attribute
# ends: FileNotFoundError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(pd.io.common.os.listdir("/genesis-canary"))

    def next(self):
        pass
