"""What can go wrong with the memory. None of it may cost an experiment more than a warning."""


class MemoryFault(Exception):
    """Says what happened, to what, and what to do."""


class MemoryUnavailable(MemoryFault):
    """It can't answer now: unreachable, locked by another process, too slow, damaged."""


class MemoryOff(MemoryUnavailable):
    """It isn't there: switched off, or not installed."""


class MemoryRefusal(MemoryFault):
    """What was asked for can't be done, now or later: an unknown lesson, an unreadable line."""


class ModelMismatch(MemoryRefusal):
    """The lessons were embedded by another model than the one that is set."""


KINDS: dict[str, type[MemoryFault]] = {
    kind.__name__: kind for kind in (MemoryFault, MemoryUnavailable, MemoryOff, MemoryRefusal, ModelMismatch)
}
"""By the name under which they cross the keeper's socket."""
