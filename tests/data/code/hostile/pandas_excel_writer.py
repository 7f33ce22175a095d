# technique: write with pandas.ExcelWriter
# expect: io
# ends: ModuleNotFoundError FileNotFoundError OSError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pd.ExcelWriter("/genesis-canary/drop/data.xlsx")

    def next(self):
        pass
