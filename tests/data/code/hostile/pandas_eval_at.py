# technique: reach Python's objects from a frame's eval
# expect: dynamic_code
# ends: FileNotFoundError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(self.data.df.eval("@pd.io.common.os.listdir('/genesis-canary')"))

    def next(self):
        pass
