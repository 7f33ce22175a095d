# technique: answer a question of the engine's in the class
# expect: engine_internals
# ends: trades
from backtesting import Strategy


class Rich(Strategy):
    def _check_params(self, params):
        return {"equity_at_start": 1e9}


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
