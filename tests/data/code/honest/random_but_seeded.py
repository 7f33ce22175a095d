import random

import numpy as np
from backtesting import Strategy


class Coin(Strategy):
    seed = 7

    def init(self):
        self.coin = random.Random(self.seed)
        self.draws = np.random.default_rng(self.seed).normal(size=10**3)
        self.noise = np.zeros((100, 100)) + 2**16 - (1 << 10)

    def next(self):
        toss = self.coin.choice(["heads", "tails"])
        if toss == "heads" and not self.position and self.draws[len(self.data) % 1000] > 0:
            self.buy(size=0.3)
        elif toss == "tails":
            self.position.close()
