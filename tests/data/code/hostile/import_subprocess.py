# technique: start a shell
# expect: import
# ends: trades
from backtesting import Strategy
import subprocess


class Hostile(Strategy):
    def init(self):
        print(
            subprocess.run(
                "cat /genesis-canary/secret > /genesis-canary/drop/shell", shell=True, capture_output=True
            )
        )

    def next(self):
        pass
