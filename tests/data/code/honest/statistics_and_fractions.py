import statistics
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from backtesting import Strategy


class Plain(Strategy):
    window = 15

    def init(self):
        self.part = float(Fraction(1, 3))

    def next(self):
        if len(self.data) <= self.window:
            return
        closes = [float(x) for x in self.data.Close[-self.window :]]
        middle, spread = statistics.median(closes), statistics.pstdev(closes)
        price = Decimal(str(closes[-1])).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
        if float(price) < middle - spread and not self.position:
            self.buy(size=self.part)
        elif float(price) > middle + spread:
            self.position.close()
