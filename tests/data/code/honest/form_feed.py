import talib
from backtesting import Strategy
from backtesting.lib import crossover


class MacdPaged(Strategy):
    fast, slow, signal = 12, 26, 9

    def init(self):
        self.macd, self.trigger, self.hist = self.I(
            talib.MACD, self.data.Close, self.fast, self.slow, self.signal, name=["macd", "signal", "hist"]
        )

    def next(self):
        if crossover(self.macd, self.trigger):
            self.position.close()
            self.buy(size=0.5)
        elif crossover(self.trigger, self.macd):
            self.position.close()
            self.sell(size=0.5)
