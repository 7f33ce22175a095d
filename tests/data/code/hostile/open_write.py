# technique: write a file on the host with an open that was given another name
# expect: io
# ends: FileNotFoundError
from backtesting import Strategy

keep = open


class Hostile(Strategy):
    def init(self):
        with keep("/genesis-canary/drop/opened", "w") as sink:
            sink.write("here")

    def next(self):
        pass
