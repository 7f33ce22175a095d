from backtesting import Strategy


class Pyramid(Strategy):
    steps = 3
    gain = 0.02

    def init(self):
        pass

    def next(self):
        price = self.data.Close[-1]
        if not self.trades:
            if len(self.data) > 5 and price > max(self.data.High[-5:-1]):
                self.buy(size=0.2)
        elif len(self.trades) < self.steps and price > self.trades[-1].entry_price * (1 + self.gain):
            self.buy(size=0.2)
        elif price < min(self.data.Low[-6:-1]):
            for trade in list(self.trades):
                trade.close()
