"""A worker's name on its host: stable over restarts, never held by two processes.

The name makes the task queue of the steps that use this process's sandboxes. After a crash the next worker takes the
same name, so that a step left on the queue is answered at once instead of being waited for.
"""

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def host_slot(folder: Path, host: str) -> Iterator[str]:
    """Hold the first free of `<host>-1`, `<host>-2` …; the lock ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        name = f"{host}-{number}"
        handle = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        try:
            yield name
        finally:
            os.close(handle)
        return


def machine_of(name: str) -> str:
    """The machine of a worker's name: all of it but the number."""
    return name.rpartition("-")[0]
