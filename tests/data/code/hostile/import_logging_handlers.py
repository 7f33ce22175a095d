# technique: send log records over the network
# expect: import module_attribute
# ends: trades
from backtesting import Strategy
import logging.handlers


class Hostile(Strategy):
    def init(self):
        handler = logging.handlers.SocketHandler("127.0.0.1", 47474)
        handler.createSocket()
        handler.send(b"secret")

    def next(self):
        pass
