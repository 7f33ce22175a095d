# technique: start a subprocess from an event loop
# expect: import
# ends: trades NoReport
from backtesting import Strategy
import asyncio


class Hostile(Strategy):
    def init(self):
        asyncio.run(asyncio.create_subprocess_shell("cat /genesis-canary/secret"))

    def next(self):
        pass
