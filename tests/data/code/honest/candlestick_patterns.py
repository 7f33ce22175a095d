import talib
from backtesting import Strategy

PATTERNS = {
    "engulfing": talib.CDLENGULFING,
    "hammer": talib.CDLHAMMER,
    "doji": talib.CDLDOJI,
}


class Candles(Strategy):
    hold = 5

    def init(self):
        d = self.data
        for name, pattern in PATTERNS.items():
            setattr(self, f"found_{name}", self.I(pattern, d.Open, d.High, d.Low, d.Close, plot=False))
        self.since = 0

    def next(self):
        score = sum(int(getattr(self, "found_" + name)[-1]) for name in PATTERNS)
        if self.position:
            self.since += 1
            if self.since >= self.hold:
                self.position.close()
        elif score >= 100:
            self.since = 0
            self.buy(size=0.5)
