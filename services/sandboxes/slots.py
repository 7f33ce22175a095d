"""How many sandboxes a host may have: numbered slots, over all of its processes.

A slot is a lock on a file. It ends with the process that holds it, however that ends, so nothing has to be counted or
cleaned up after a kill.
"""

import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from services.sandboxes.contract import SandboxError


class SandboxesFull(SandboxError):
    """This host has as many sandboxes as it may have. Ask again once one is given back."""


class Slot:
    """One sandbox's place on the host."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle
        self._lock = threading.Lock()

    def free(self) -> None:
        """Give it back. Idempotent."""
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


class Slots:
    """`most` slots in `folder`, which the processes of one host share."""

    def __init__(self, folder: Path, most: int) -> None:
        if most < 1:
            raise ValueError(f"most is {most}; a host needs room for at least one sandbox")
        self._folder = folder
        self.most = most

    def take(self) -> Slot | None:
        """The first free slot; None where all are taken. Never waits."""
        return next(self._each(range(1, self.most + 1)), None)

    def free(self) -> int:
        """How many are free at this moment: a hint, since others may take them before the caller does."""
        count = 0
        # one at a time, from the other end: who takes one meanwhile is in the way of one at most
        for slot in self._each(range(self.most, 0, -1)):
            slot.free()
            count += 1
        return count

    def _each(self, numbers: Iterable[int]) -> Iterator[Slot]:
        """Those of `numbers` that are free, each taken as it is asked for."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in numbers:
            path = self._folder / f"{number}.lock"
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(handle)
                if isinstance(error, BlockingIOError):
                    continue
                raise
            yield Slot(handle)
