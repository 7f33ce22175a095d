# technique: listen for whoever comes
# expect: import
# ends: TimeoutError
from backtesting import Strategy
import socket


class Hostile(Strategy):
    def init(self):
        listener = socket.create_server(("0.0.0.0", 0))
        listener.settimeout(0.2)
        listener.accept()

    def next(self):
        pass
