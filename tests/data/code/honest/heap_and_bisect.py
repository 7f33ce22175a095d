import bisect
import heapq

from backtesting import Strategy


class Ranks(Strategy):
    window = 30

    def init(self):
        self.ordered: list[float] = []
        self.queue: list[float] = []

    def next(self):
        price = float(self.data.Close[-1])
        bisect.insort(self.ordered, price)
        if len(self.data) > self.window:
            old = float(self.data.Close[-self.window - 1])
            place = bisect.bisect_left(self.ordered, old)
            if place < len(self.ordered):
                self.ordered.pop(place)
        rank = bisect.bisect(self.ordered, price) / max(len(self.ordered), 1)
        top = heapq.nlargest(3, self.ordered)
        if rank > 0.9 and len(top) == 3 and not self.position:
            self.buy(size=0.5)
        elif rank < 0.5:
            self.position.close()
