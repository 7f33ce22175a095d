# technique: be a class that only looks like a strategy
# expect: entrypoint
# ends: TypeError
class Hostile:
    def init(self):
        pass

    def next(self):
        pass
