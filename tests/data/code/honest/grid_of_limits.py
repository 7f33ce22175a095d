from backtesting import Strategy


class Grid(Strategy):
    distance = 0.02
    levels = 3

    def init(self):
        self.anchor = None

    def next(self):
        price = self.data.Close[-1]
        if self.anchor is None or abs(price / self.anchor - 1) > 3 * self.distance:
            self.anchor = price
            for order in self.orders:
                if not order.is_contingent:
                    order.cancel()
            for level in range(1, self.levels + 1):
                limit = price * (1 - level * self.distance)
                self.buy(size=0.1, limit=limit, tp=price * 1.01, sl=price * 0.85)
