# technique: import code that the trial wrote
# expect: import module_attribute
# ends: FileNotFoundError
from backtesting import Strategy
import pathlib
import sys


class Hostile(Strategy):
    def init(self):
        pathlib.Path("planted.py").write_text("print(open('/genesis-canary/secret').read())")
        sys.path.insert(0, ".")
        import planted

    def next(self):
        pass
