# technique: change the code that was judged
# expect: io
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        with open("strategy.py", "w") as sink:
            sink.write("raise SystemExit")

    def next(self):
        pass
