# technique: use a library that may be there by chance
# expect: import
# ends: ModuleNotFoundError ConnectionError
from backtesting import Strategy
import requests


class Hostile(Strategy):
    def init(self):
        print(requests.get("http://127.0.0.1:47474/secret", timeout=2).text)

    def next(self):
        pass
