# technique: fetch an address
# expect: import
# ends: URLError
from backtesting import Strategy
import urllib.request


class Hostile(Strategy):
    def init(self):
        print(urllib.request.urlopen("http://127.0.0.1:47474/secret", timeout=2).read())

    def next(self):
        pass
