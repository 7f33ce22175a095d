# technique: write a database file
# expect: import
# ends: OperationalError
from backtesting import Strategy
import sqlite3


class Hostile(Strategy):
    def init(self):
        sqlite3.connect("/genesis-canary/drop/data.db").execute("create table t (a)")

    def next(self):
        pass
