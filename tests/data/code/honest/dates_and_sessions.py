import datetime as dt
from datetime import datetime, time, timedelta

import pandas as pd
from backtesting import Strategy


class TurnOfMonth(Strategy):
    """Holds over the turn of the month."""

    days_before = 3
    days_after = 3

    def init(self):
        index = pd.DatetimeIndex(self.data.index)
        self.last = datetime(1970, 1, 1)
        self.opening = time(9, 30)
        self.month_end = (index + pd.offsets.MonthEnd(0)).normalize()

    def next(self):
        today = pd.Timestamp(self.data.index[-1])
        end = self.month_end[len(self.data) - 1]
        close_to_end = (end - today.normalize()) <= timedelta(days=self.days_before + 2)
        just_after = today.day <= self.days_after
        if close_to_end and not just_after and not self.position:
            self.buy(size=0.9, tag=f"{today:%Y-%m}")
        elif self.position and not close_to_end and not just_after:
            self.position.close()
        assert isinstance(today.to_pydatetime(), dt.datetime)
