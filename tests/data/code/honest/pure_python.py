from backtesting import Strategy


def wma(values, period):
    weights = range(1, period + 1)
    total = sum(weights)
    out = [float("nan")] * len(values)
    for end in range(period - 1, len(values)):
        window = values[end - period + 1 : end + 1]
        out[end] = sum(w * v for w, v in zip(weights, window)) / total
    return out


class HullLike(Strategy):
    period = 16

    def init(self):
        closes = [float(c) for c in self.data.Close]
        half = wma(closes, self.period // 2)
        full = wma(closes, self.period)
        self.hull = self.I(lambda: [2 * h - f for h, f in zip(half, full)], name="hull")

    def next(self):
        if len(self.hull) < 3:
            return
        rising = self.hull[-1] > self.hull[-2] > self.hull[-3]
        falling = self.hull[-1] < self.hull[-2] < self.hull[-3]
        if rising and not self.position:
            self.buy(size=0.9)
        elif falling and self.position:
            self.position.close()
