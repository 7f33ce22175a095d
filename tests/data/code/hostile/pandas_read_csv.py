# technique: read with pandas.read_csv
# expect: io
# ends: FileNotFoundError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(pd.read_csv("/genesis-canary/secret"))

    def next(self):
        pass
