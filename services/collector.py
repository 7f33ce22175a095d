"""The garbage collector, for processes that load much at their start."""

import gc

OBJECTS = 50_000


def relax() -> None:
    """From now on it looks when so many objects are new, not 700.

    Imports make hundreds of thousands of objects and next to no garbage, and by default the collector walks through
    them again and again: a fifth of the time that a command takes to bring up a worker.
    """
    gc.set_threshold(OBJECTS)
