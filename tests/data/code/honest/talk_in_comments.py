# Certainly! Here is the strategy you asked for.
# ```python
# this is how a model talks; in comments it hurts nobody
# ```
# Note: it doesn't short.
from backtesting import Strategy


class Chatty(Strategy):
    # The fast length. You can change it!
    n = 8

    def init(self):
        # Nothing to prepare here, since plain Python will do.
        ...

    def next(self):
        # First we check that there is enough data; then we compare.
        if len(self.data) < self.n:
            return
        if self.data.Close[-1] == max(self.data.Close[-self.n :]) and not self.position:
            self.buy(size=0.5)  # all of half of it
        elif self.data.Close[-1] == min(self.data.Close[-self.n :]):
            self.position.close()
