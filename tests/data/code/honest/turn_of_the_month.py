import calendar
from datetime import date, datetime, timedelta

from backtesting import Strategy


class TurnOfMonth(Strategy):
    before, after = 2, 3

    def init(self):
        self.opened: datetime | None = None

    def next(self):
        now: datetime = self.data.index[-1].to_pydatetime()
        days = calendar.monthrange(now.year, now.month)[1]
        near_end = now.day > days - self.before - 2
        if near_end and not self.position:
            self.opened = now
            self.buy(size=0.9)
        elif self.position and self.opened and now - self.opened > timedelta(days=self.after + 2):
            self.position.close()
        assert isinstance(now.date(), date)
