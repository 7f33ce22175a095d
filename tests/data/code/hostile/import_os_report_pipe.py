# technique: write trades of one's own to the report and leave
# expect: import
# ends: trades
from backtesting import Strategy
import os


class Hostile(Strategy):
    def init(self):
        os.write(3, b'{"trades": []}\n')
        os._exit(0)

    def next(self):
        pass
