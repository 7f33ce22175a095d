# technique: speak to the machine below by vsock
# expect: import module_attribute
# ends: ConnectionResetError OSError TimeoutError PermissionError
from backtesting import Strategy
import socket


class Hostile(Strategy):
    def init(self):
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).connect((2, 47474))

    def next(self):
        pass
