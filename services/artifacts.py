"""Artifacts: bytes named by their SHA-256.

Code, trades, curves, reports and market data are too big for workflow history, which carries their digests
instead. An artifact never changes, so writing it again is free, and a reader can prove that it got what was
written.

    root/ab/ab12…    the bytes, read-only
    root/tmp/        files being written; whatever a killed process left there, `clean` removes
"""

import errno
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from schemas.code import Digest

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ArtifactError(Exception):
    """The store can't be read or written. The message says which file and what to do."""


class ArtifactMissing(ArtifactError):
    """No artifact has this digest."""


class ArtifactCorrupt(ArtifactError):
    """The stored bytes don't have the digest they are kept under."""


class Artifacts:
    """A store in the folder `root`, made on first use. Any number of threads and processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def put(self, data: bytes) -> Digest:
        """Store `data` durably and return its digest. A damaged copy that is found is replaced."""
        digest = hashlib.sha256(data).hexdigest()
        target = self.path(digest)
        with _explained("write", target):
            if not _holds(target, data):
                self._write(target, data)
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`, checked. Raises ArtifactMissing or ArtifactCorrupt."""
        file = self.path(digest)
        try:
            with _explained("read", file):
                data = file.read_bytes()
        except FileNotFoundError:
            raise ArtifactMissing(
                f"artifact {digest} is not in {self.root}; it was removed, or written to another folder: "
                "check the artifacts setting, or restore the folder from a backup"
            ) from None
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise ArtifactCorrupt(
                f"artifact {digest} is damaged: {file} holds {len(data)} bytes with SHA-256 {found}; delete "
                "that file and run the step that made it again, or restore it from a backup"
            )
        return data

    def put_json(self, value: Any) -> Digest:
        """Store `value` (JSON types, shapes, dates and collections of them) in one canonical form.

        Keys are sorted and spaces left out: equal values give equal digests. NaN and infinities are refused.
        """
        try:
            text = json.dumps(
                to_jsonable_python(value), sort_keys=True, separators=(",", ":"), allow_nan=False
            )
        except (PydanticSerializationError, TypeError, ValueError, RecursionError) as error:
            raise ArtifactError(
                f"a {type(value).__name__} can't be stored as JSON: {error}; give finite numbers, texts, "
                "lists, dictionaries with text keys, or shapes"
            ) from error
        return self.put(text.encode())

    def get_json(self, digest: Digest) -> Any:
        """The value stored by `put_json`. Raises as `get` does, and ArtifactError for other bytes."""
        data = self.get(digest)
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(
                f"artifact {digest} is not JSON: {error}; read it with get(), it was stored as plain bytes"
            ) from error

    def path(self, digest: Digest) -> Path:
        """Where the artifact is kept, if it is."""
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ArtifactError(f"{digest!r:.100} is not a digest; it has 64 characters of 0-9 and a-f")
        return self.root / digest[:2] / digest

    def clean(self, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove what killed processes left half written; returns how many files. Artifacts stay."""
        limit = time.time() - older_than.total_seconds()
        removed = 0
        for file in self._tmp.glob("*"):
            with suppress(FileNotFoundError):  # another process cleans too
                if file.stat().st_mtime < limit:
                    file.unlink()
                    removed += 1
        return removed

    @property
    def _tmp(self) -> Path:
        return self.root / "tmp"

    def _write(self, target: Path, data: bytes) -> None:
        self._tmp.mkdir(parents=True, exist_ok=True)
        _make_durable_folder(target.parent)
        descriptor, name = tempfile.mkstemp(dir=self._tmp)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), 0o444)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)


def _holds(file: Path, data: bytes) -> bool:
    try:
        return file.stat().st_size == len(data) and file.read_bytes() == data
    except FileNotFoundError:
        return False


def _make_durable_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """A rename is only safe from a power cut once the folder that holds the name is on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(verb: str, file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        advice = {
            errno.ENOSPC: "free some space there",
            errno.EDQUOT: "free some space there",
            errno.EACCES: "give this user the right to it",
            errno.EPERM: "give this user the right to it",
            errno.EROFS: "mount it writable",
            errno.ENOTDIR: "a file is where a folder should be: move it away",
            errno.EEXIST: "a file is where a folder should be: move it away",
        }.get(error.errno or 0, "check the disk")
        raise ArtifactError(
            f"can't {verb} {file}: {error.strerror}; {advice}, or set another folder for artifacts"
        ) from error
