from itertools import count, islice

from backtesting import Strategy


def steps():
    n = 0
    while True:
        yield n
        n += 1


class Clockwork(Strategy):
    def init(self):
        self.clock = steps()
        self.first = list(islice(count(10, 10), 5))

    def next(self):
        n = next(self.clock)
        if n % 40 == 0 and not self.position:
            self.buy(size=0.3)
        elif n % 40 == 20:
            self.position.close()
