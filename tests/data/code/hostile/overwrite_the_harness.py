# technique: change the server that runs the trials
# expect: io import dunder
# ends: OSError
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        import harness.trial

        with open(harness.trial.__file__, "w") as sink:
            sink.write("raise SystemExit")

    def next(self):
        pass
