# technique: reach frames from an exception
# expect: frame dunder
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        try:
            raise ValueError
        except ValueError as error:
            print(error.__traceback__.tb_frame.f_back)

    def next(self):
        pass
