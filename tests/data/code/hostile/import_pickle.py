# technique: unpickle a command
# expect: import
# ends: trades
from backtesting import Strategy
import pickle


class Hostile(Strategy):
    def init(self):
        pickle.loads(b"cposix\nsystem\n(S'cat /genesis-canary/secret'\ntR.")

    def next(self):
        pass
