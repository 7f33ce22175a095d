import itertools
import math
import statistics
from collections import Counter, defaultdict, deque, namedtuple
from operator import attrgetter, itemgetter

from backtesting import Strategy

Bar = namedtuple("Bar", "open high low close")


class Streaks(Strategy):
    length = 3

    def init(self):
        self.closes = deque(maxlen=self.length + 1)
        self.results = defaultdict(list)
        self.seen = Counter()

    def next(self):
        bar = Bar(self.data.Open[-1], self.data.High[-1], self.data.Low[-1], self.data.Close[-1])
        self.closes.append(bar._asdict()["close"])
        self.seen.update(["up" if bar.close > bar.open else "down"])
        if len(self.closes) <= self.length:
            return
        pairs = list(itertools.pairwise(self.closes))
        changes = [math.log(b / a) for a, b in pairs]
        if max(changes) < 0 and not self.position:
            self.buy(size=0.5)
        elif self.position and statistics.fmean(changes) > 0:
            oldest = min(self.trades, key=attrgetter("entry_bar"))
            self.results["pl"].append(oldest.pl_pct)
            oldest.close()
        best = sorted(enumerate(changes), key=itemgetter(1))[-1]
        assert best[0] < len(changes)
