# technique: find a class that opens files among all subclasses
# expect: dunder
# ends: FileNotFoundError
from backtesting import Strategy


def named(cls, name):
    return next(each for each in cls.__subclasses__() if each.__name__ == name)


class Hostile(Strategy):
    def init(self):
        streams = named(().__class__.__base__, "_IOBase")
        print(named(named(streams, "_RawIOBase"), "FileIO")("/genesis-canary/secret").read())

    def next(self):
        pass
