# technique: fetch an address with pandas
# expect: io
# ends: URLError
import pandas as pd
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(pd.read_json("http://127.0.0.1:47474/secret"))

    def next(self):
        pass
