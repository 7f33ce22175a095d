# expect: entrypoint
class Strategy:
    pass


class Hostile(Strategy):
    def init(self):
        pass

    def next(self):
        pass
