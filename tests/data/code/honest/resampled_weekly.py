import talib
from backtesting import Strategy
from backtesting.lib import resample_apply

SYSTEM_WEEKS = "W-FRI"


class WeeklyFilter(Strategy):
    def init(self):
        self.weekly_rsi = resample_apply(SYSTEM_WEEKS, talib.RSI, self.data.Close.s, 8)
        self.daily_rsi = self.I(talib.RSI, self.data.Close.s, 8)

    def next(self):
        if self.weekly_rsi[-1] > 55 and self.daily_rsi[-1] < 45 and not self.position:
            self.buy(size=0.95, sl=0.92 * self.data.Close[-1])
        elif self.daily_rsi[-1] > 75:
            self.position.close()
