# technique: evaluate with pandas.eval
# expect: io
# ends: FileNotFoundError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(pd.eval("pd.io.common.os.listdir('/genesis-canary')"))

    def next(self):
        pass
