# technique: read packets from the wire
# expect: import module_attribute
# ends: PermissionError OSError
from backtesting import Strategy
import socket


class Hostile(Strategy):
    def init(self):
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)

    def next(self):
        pass
