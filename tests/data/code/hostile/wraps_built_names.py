# technique: copy hidden attributes with functools.wraps
# expect: reflection
# ends: trades
from backtesting import Strategy
import functools

HIDDEN = "_" * 2 + "code" + "_" * 2


def bare():
    return None


class Hostile(Strategy):
    def init(self):
        functools.wraps(bare, assigned=[HIDDEN], updated=())(Strategy.buy)

    def next(self):
        pass
