# technique: send mail
# expect: import
# ends: ConnectionRefusedError
from backtesting import Strategy
import smtplib


class Hostile(Strategy):
    def init(self):
        smtplib.SMTP("127.0.0.1", 47474, timeout=2).sendmail("a@b", "c@d", "data")

    def next(self):
        pass
