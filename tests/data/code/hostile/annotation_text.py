# technique: hide a call in an annotation, for a dispatcher that evaluates it
# expect: dynamic_code decorator
# ends: FileNotFoundError
from backtesting import Strategy
import functools


@functools.singledispatch
def judge(value):
    return value


class Hostile(Strategy):
    def init(self):
        @judge.register
        def _(value: "open('/genesis-canary/secret').read()"):
            return value

    def next(self):
        pass
