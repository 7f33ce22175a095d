# technique: speak to a listener on the host's loopback
# expect: import
# ends: ConnectionRefusedError
from backtesting import Strategy
import socket


class Hostile(Strategy):
    def init(self):
        socket.create_connection(("127.0.0.1", 47474), 2).sendall(b"GET /secret HTTP/1.0\r\n\r\n")

    def next(self):
        pass
