import pandas as pd
import talib
import talib.abstract as ta
from backtesting import Strategy


class Stochastics(Strategy):
    def init(self):
        frame = pd.DataFrame(
            {
                "open": self.data.Open,
                "high": self.data.High,
                "low": self.data.Low,
                "close": self.data.Close,
                "volume": self.data.Volume.astype(float),
            }
        )
        stoch = ta.STOCH(frame, fastk_period=14, slowk_period=3, slowd_period=3)
        self.k = self.I(lambda: stoch["slowk"].to_numpy(), name="%K")
        self.d = self.I(lambda: stoch["slowd"].to_numpy(), name="%D")
        self.mfi = self.I(getattr(talib, "MFI"), frame.high.values, frame.low.values, frame.close.values, frame.volume.values)

    def next(self):
        try:
            turning = self.k[-2] < self.d[-2] and self.k[-1] > self.d[-1]
        except IndexError as e:
            self.reason = str(e)
            return
        if turning and self.k[-1] < 30 and self.mfi[-1] < 50 and not self.position:
            self.buy(size=0.9)
        elif self.k[-1] > 80:
            self.position.close()
