import talib
from backtesting import Strategy


class Ribbon(Strategy):
    periods = (5, 10, 20, 40)

    def init(self):
        for period in self.periods:
            setattr(self, f"ema_{period}", self.I(talib.EMA, self.data.Close, period))

    def next(self):
        values = [getattr(self, "ema_" + str(period))[-1] for period in self.periods]
        stacked = all(a > b for a, b in zip(values, values[1:]))
        if stacked and not self.position:
            self.buy(size=0.7)
        elif not stacked and self.position:
            self.position.close()
