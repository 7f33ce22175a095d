from backtesting import Strategy


class LastSwing(Strategy):
    """Looks back for the last swing low; each loop has its way out."""

    def init(self):
        self.lines = "-" * 40

    def swing(self):
        i = 2
        while True:
            if i >= len(self.data.Low) - 1:
                return None
            if self.data.Low[-i] < self.data.Low[-i - 1] and self.data.Low[-i] < self.data.Low[-i + 1]:
                break
            i += 1
        return self.data.Low[-i]

    def next(self):
        low = self.swing()
        while low is not None:
            if self.data.Close[-1] > low * 1.05 and not self.position:
                self.buy(size=0.5, sl=low * 0.95)
            break
        if self.position and low and self.data.Close[-1] < low:
            self.position.close()
