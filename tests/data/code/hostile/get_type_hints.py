# technique: run a text as a type hint
# expect: module_attribute
# ends: trades
from backtesting import Strategy
import typing


class Note:
    pass


class Hostile(Strategy):
    def init(self):
        print(typing.get_type_hints(Note))

    def next(self):
        pass
