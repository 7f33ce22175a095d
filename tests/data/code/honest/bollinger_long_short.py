import talib
from backtesting import Strategy
from backtesting.lib import crossover


class BollingerFade(Strategy):
    period, deviations = 20, 2.0

    def init(self):
        self.upper, self.middle, self.lower = self.I(
            talib.BBANDS, self.data.Close, self.period, self.deviations, self.deviations, 0
        )
        self.adx = self.I(talib.ADX, self.data.High, self.data.Low, self.data.Close, 14)

    def next(self):
        ranging = self.adx[-1] < 25
        if not self.position and ranging:
            if crossover(self.data.Close, self.lower):
                self.buy(size=0.4, tp=self.middle[-1] * 1.05)
            elif crossover(self.upper, self.data.Close):
                self.sell(size=0.4)
        elif self.position.is_long and self.data.Close[-1] >= self.middle[-1]:
            self.position.close()
        elif self.position.is_short and self.data.Close[-1] <= self.middle[-1]:
            self.position.close(portion=1.0)
