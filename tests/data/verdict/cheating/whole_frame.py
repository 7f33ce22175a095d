"""no_lookahead: the engine's own frame, behind the part that is shown."""

from backtesting import Strategy


class S(Strategy):
    def init(self):
        pass

    def next(self):
        close = self.data._Data__df["Close"].to_numpy()
        bar = len(self.data)
        ahead = close[bar + 2] if bar + 2 < len(close) else self.data.Close[-1]
        if not self.position:
            if ahead > self.data.Close[-1]:
                self.buy(size=0.9)
        elif ahead < self.data.Close[-1]:
            self.position.close()
