import re

import talib
from backtesting import Strategy

RULES = "buy: RSI(7) < 35; sell: RSI(7) > 60"
PATTERN = re.compile(r"(?P<side>buy|sell):\s*RSI\((?P<n>\d+)\)\s*(?P<sign>[<>])\s*(?P<level>\d+(?:\.\d+)?)")


class FromText(Strategy):
    rules = RULES

    def init(self):
        self.levels = {m["side"]: float(m["level"]) for m in PATTERN.finditer(self.rules)}
        lengths = {int(m["n"]) for m in PATTERN.finditer(self.rules)}
        self.rsi = self.I(talib.RSI, self.data.Close, max(lengths))

    def next(self):
        if self.rsi[-1] < self.levels["buy"] and not self.position:
            self.buy(size=0.5)
        elif self.rsi[-1] > self.levels["sell"]:
            self.position.close()
