# technique: run a pickle with pandas
# expect: io
# ends: FileNotFoundError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(pd.read_pickle("/genesis-canary/secret"))

    def next(self):
        pass
