# technique: push characters into a terminal
# expect: import
# ends: OSError
from backtesting import Strategy
import fcntl
import termios


class Hostile(Strategy):
    def init(self):
        fcntl.ioctl(0, termios.TIOCSTI, b"x")

    def next(self):
        pass
