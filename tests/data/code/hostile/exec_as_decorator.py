# technique: execute a text by decorating a class
# expect: dynamic_code decorator
# ends: FileNotFoundError
from backtesting import Strategy


def text_of(cls):
    return "import os; print(os.listdir('/genesis-canary'))"


class Hostile(Strategy):
    def init(self):
        @exec
        @text_of
        class Named:
            pass

    def next(self):
        pass
