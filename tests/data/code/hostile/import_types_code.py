# technique: build a function from bytes of code
# expect: import dunder frame
# ends: trades
from backtesting import Strategy
import types


class Hostile(Strategy):
    def init(self):
        def empty():
            return None

        exec_it = types.FunctionType(empty.__code__.replace(co_consts=(None, 7)), {})
        print(exec_it())

    def next(self):
        pass
