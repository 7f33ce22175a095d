# technique: speak to Docker's socket
# expect: import module_attribute
# ends: FileNotFoundError PermissionError OSError
from backtesting import Strategy
import socket


class Hostile(Strategy):
    def init(self):
        socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock")

    def next(self):
        pass
