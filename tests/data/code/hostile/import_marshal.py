# technique: make code from bytes
# expect: import dynamic_code
# ends: FileNotFoundError
from backtesting import Strategy
import marshal


class Hostile(Strategy):
    def init(self):
        exec(
            marshal.loads(marshal.dumps(compile("print(open('/genesis-canary/secret').read())", "x", "exec")))
        )

    def next(self):
        pass
