# expect: entrypoint
class Hostile:
    def init(self):
        pass

    def next(self):
        pass
