# technique: compile and load native code with numpy
# expect: module_attribute process
# ends: trades
import numpy as np
from backtesting import Strategy


class Hostile(Strategy):
    def init(self):
        print(np.f2py.os.popen("cat /genesis-canary/secret").read())

    def next(self):
        pass
