"""A small file that several processes change: one at a time, whole or not at all, readable for its owner only."""

import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.secrets.contract import SecretsRefused, SecretsUnavailable

PATIENCE = 10.0
"""Seconds to wait for another process that is writing."""


class LockedFile:
    """The file `path`, in a folder of its own that is made on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = path.parent
        self._new = f".{path.name}.new-"

    def read(self) -> bytes | None:
        """What is there, None where there is nothing. Needs no lock: a file is only ever replaced."""
        with _explained("read", self.path):
            self._check_folder()
            return owned(self.path)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the file against every other thread and process that wants to change it."""
        with _explained("write", self.path):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_folder()
            handle = os.open(
                self._folder / f"{self.path.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        try:
            self._wait_for(handle)
            for left in self._folder.glob(
                f"{self._new}*"
            ):  # of a writer that was killed: only one writes at a time
                left.unlink(missing_ok=True)
            yield
        finally:
            os.close(handle)

    def write(self, content: bytes, *, replace: bool = True) -> None:
        """Write the file durably, under `changing`. With `replace` off, FileExistsError where there is one."""
        with _explained("write", self.path):
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=self._new)  # 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                if replace:
                    os.replace(name, self.path)
                else:
                    os.link(name, self.path)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)  # the rename is on disk only with the folder
            finally:
                os.close(folder)

    def _wait_for(self, handle: int) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise SecretsUnavailable(
                        f"{self.path}: another process has held its lock for {PATIENCE:g} s; is one stopped?"
                    ) from None
            time.sleep(0.01)

    def _check_folder(self) -> None:
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(self._folder.stat().st_mode)
            if mode & 0o022:
                raise SecretsRefused(
                    f"the folder {self._folder} can be written by others (mode {mode:04o}), who could replace what is "
                    f"in it; chmod 700 {self._folder}"
                )


def owned(path: Path) -> bytes | None:
    """The bytes of a file that nobody but its owner may read or write; None where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise SecretsRefused(f"{path} is not a file; move it away, or name another")
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            raise SecretsRefused(
                f"{path} can be read or written by others (mode {mode:04o}); chmod 600 {path}, and rotate the "
                "secrets if somebody may have read it"
            )
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


@contextmanager
def _explained(verb: str, path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        message = f"can't {verb} {error.filename or path}: {error.strerror}"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise SecretsRefused(
                f"{message}; give this user the right to it, or set GENESIS_HOME to another folder"
            ) from error
        raise SecretsUnavailable(f"{message}; is the disk full or failing?") from error
