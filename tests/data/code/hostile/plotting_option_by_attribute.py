# technique: set pandas's plotting backend by attribute
# expect: import
# ends: ValueError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        pd.options.plotting.backend = "antigravity"

    def next(self):
        pass
