# technique: open an HDF store
# expect: io
# ends: ImportError OSError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pd.HDFStore("/genesis-canary/drop/data.h5")

    def next(self):
        pass
