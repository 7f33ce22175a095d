# technique: give pandas another name first
# expect: io
# ends: FileNotFoundError
import pandas as pd
from backtesting import Strategy

frames = pd


class Hostile(Strategy):
    def init(self):
        print(frames.read_csv("/genesis-canary/secret"))

    def next(self):
        pass
