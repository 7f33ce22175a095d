# technique: reach a frame from a coroutine
# expect: frame
# ends: trades
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        async def later():
            return 1

        waiting = later()
        print(waiting.cr_frame.f_globals)
        waiting.close()

    def next(self):
        pass
