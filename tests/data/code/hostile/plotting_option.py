# technique: name a plotting backend in pandas's options, which imports it
# expect: import
# ends: ValueError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pd.set_option("plotting.backend", "antigravity")

    def next(self):
        pass
