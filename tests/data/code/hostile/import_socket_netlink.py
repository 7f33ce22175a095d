# technique: ask the kernel by netlink
# expect: import module_attribute
# ends: trades OSError PermissionError
from backtesting import Strategy
import socket


class Hostile(Strategy):
    def init(self):
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).bind((0, 0))

    def next(self):
        pass
