# technique: take over the pipe of the trial's report by its number
# expect: io
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        open(3, "w").write('{"trades": [{"Size": 1}]}\n')

    def next(self):
        pass
