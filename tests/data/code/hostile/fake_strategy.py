# technique: bring a Strategy of one's own
# expect: entrypoint
# ends: TypeError
class Strategy:
    def __init__(self, *_):
        self.trades = self.closed_trades = ()


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
