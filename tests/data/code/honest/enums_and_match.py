from enum import Enum, IntFlag, auto

from backtesting import Strategy


class Mood(Enum):
    CALM = auto()
    WILD = auto()


class Flags(IntFlag):
    NONE = 0
    UP = 1
    QUIET = 2


class Moods(Strategy):
    def init(self):
        self.mood = Mood.CALM

    def flags(self):
        flags = Flags.NONE
        if self.data.Close[-1] > self.data.Open[-1]:
            flags |= Flags.UP
        if self.data.High[-1] - self.data.Low[-1] < 0.03 * self.data.Close[-1]:
            flags |= Flags.QUIET
        return flags

    def next(self):
        flags = self.flags()
        self.mood = Mood.CALM if flags & Flags.QUIET else Mood.WILD
        match (self.mood, bool(flags & Flags.UP), len(self.trades)):
            case (Mood.CALM, True, 0):
                self.buy(size=0.5)
            case (Mood.WILD, False, n) if n > 0:
                self.position.close()
            case _:
                pass
