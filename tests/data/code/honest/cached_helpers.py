import functools
import re
import warnings
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache, partial

import talib
from backtesting import Strategy

warnings.filterwarnings("ignore", category=DeprecationWarning)
NAME = re.compile(r"^(?P<kind>[a-z]+)_(?P<n>\d+)$")


@lru_cache(maxsize=None)
def parse(name):
    found = NAME.match(name)
    return found["kind"], int(found["n"])


def traced(function):
    @functools.wraps(function)
    def inner(self, *args, **kwargs):
        self.calls = getattr(self, "calls", 0) + 1
        return function(self, *args, **kwargs)

    return inner


class Parsed(Strategy):
    spec = "ema_34"

    @cached_property
    def fraction(self):
        return float(Fraction(9, 10)) * float(Decimal("0.5"))

    @traced
    def init(self):
        kind, n = parse(self.spec)
        make = {"ema": partial(talib.EMA, timeperiod=n), "sma": partial(talib.SMA, timeperiod=n)}[kind]
        self.line = self.I(make, self.data.Close, name=self.spec)

    @traced
    def next(self):
        above = self.data.Close[-1] > self.line[-1]
        if above and not self.position:
            self.buy(size=self.fraction)
        elif not above and self.position:
            self.position.close()
