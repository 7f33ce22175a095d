# technique: make a program that runs as its owner
# expect: import process
# ends: trades
from backtesting import Strategy
import os
import shutil


class Hostile(Strategy):
    def init(self):
        shutil.copy("/usr/bin/env", "env")
        os.chmod("env", 0o4755)
        print(os.system("./env cat /genesis-canary/secret"))

    def next(self):
        pass
