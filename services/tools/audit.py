"""The log of the typed tools: JSON lines, each chained to the one before (domain/chain.py).

    audit.jsonl  {"at": …, "entry": {…}, "hash": …, "number": 7, "previous": …}   one entry a line, only ever added to
    audit.head   {"count": 7, "hash": …, "size": 2312}                            the end, so that a cut shows
    audit.lock   held while either is read or written

A line is on disk before its head is. So after a crash the file may be longer than the head says: by one whole line,
which is taken in, or by a torn one, which stays and is accounted for in an entry of its own. Shorter than the head
says it can only be by somebody's hand.
"""

import errno
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.chain import ChainReport, Found, Head, Inspection, canonical, seal
from services.tools.errors import AuditDamaged, AuditUnwritable

MOST_LINE = 128 * 1024
"""Bytes of one line."""
MOST_DEBRIS = 2 * MOST_LINE
"""Bytes that a crash can leave behind the head."""
TORN = "torn_line"
_CHECK = "see: python starter.py audit verify"
_LOST_HEAD = "the head was removed: audit.head is missing, so a cut at the end can't be seen"


@dataclass(frozen=True)
class Sealed:
    """One entry in the log."""

    number: int
    hash: str

    @property
    def audit_id(self) -> str:
        """Names the entry and vouches for it: whoever keeps it can prove a later change."""
        return f"{self.number}-{self.hash[:16]}"


class _Kept(BaseModel):
    """audit.head."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    count: int
    hash: str
    size: int

    @property
    def head(self) -> Head:
        return Head(self.count, self.hash)


def log_folder(home: Path) -> Path:
    """Where a home (`Settings.home`) keeps the log of its tools."""
    return home / "tools"


def _now() -> datetime:
    return datetime.now(UTC)


class AuditLog:
    """The log in the folder `place`, made on first use. Threads and processes of one host may share it."""

    def __init__(self, place: Path, clock: Callable[[], datetime] = _now) -> None:
        self.path = place.absolute() / "audit.jsonl"
        self._head = self.path.with_name("audit.head")
        self._lock = self.path.with_name("audit.lock")
        self._clock = clock

    def append(self, entry: Mapping[str, Any]) -> Sealed:
        """Add an entry (JSON values) durably.

        Raises ValueError where it isn't JSON or too long, AuditUnwritable where the disk refuses, and AuditDamaged
        where the log was cut or altered at its end.
        """
        with self._explained(), self._locked(), self._opened() as log:
            kept = self._recovered(log, self._kept(log))
            return self._add(log, kept, entry)

    def verify(self, expected: Sequence[Head] = ()) -> ChainReport | None:
        """Whether every line is as it was written; None where there is no log. `expected` are heads kept elsewhere.

        Entries that come in meanwhile wait only while the head is read. Raises AuditUnwritable where it can't be read.
        """
        name = f"the tools' log {self.path}"
        if not self.path.exists() and not self._head.exists():
            return None
        headless, kept = "", None
        with self._explained():
            with self._shared():
                try:
                    kept = self._read_head()
                except AuditDamaged as error:
                    headless = str(error)
                if kept is None:
                    headless = headless or _LOST_HEAD
                size = self.path.stat().st_size if self.path.exists() else 0
            reading = _Reading(Inspection([*([kept.head] if kept else []), *expected]))
            if size:
                with open(self.path, "rb") as file:
                    reading.read(file, size)
        return reading.end(name, headless)

    # The end of the log

    def _kept(self, log: int) -> _Kept:
        kept = self._read_head()
        if kept is not None:
            return kept
        if os.fstat(log).st_size:
            raise AuditDamaged(f"{self.path} has lines but no head ({self._head.name}); {_CHECK}")
        return self._keep(Head(), 0)

    def _read_head(self) -> _Kept | None:
        try:
            return _Kept.model_validate_json(self._head.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise AuditDamaged(f"{self._head} can't be read as the head of the log; {_CHECK}") from error

    def _keep(self, head: Head, size: int) -> _Kept:
        kept = _Kept(count=head.count, hash=head.hash, size=size)
        fresh = self._head.with_suffix(".new")
        descriptor = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            _write(descriptor, kept.model_dump_json().encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(fresh, self._head)
        return kept

    def _recovered(self, log: int, kept: _Kept) -> _Kept:
        """The end, after what a crash left behind it was taken in or accounted for."""
        beyond = os.fstat(log).st_size - kept.size
        if beyond == 0:
            return kept
        if beyond < 0:
            raise AuditDamaged(
                f"{self.path} was cut: {-beyond} bytes of the {kept.count} entries that its head counts are missing; "
                f"{_CHECK}, then move the folder {self.path.parent} away to begin a new log"
            )
        if beyond > MOST_DEBRIS:
            raise AuditDamaged(
                f"{self.path} has {beyond} bytes that its head doesn't know, more than a crash leaves; {_CHECK}"
            )
        rest = os.pread(log, beyond, kept.size)
        line, _, more = rest.partition(b"\n")
        entry = _found(line, "")
        if entry.intact and (entry.number, entry.previous) == (kept.count + 1, kept.hash):
            if not rest.startswith(line + b"\n"):
                _write(log, b"\n")
                os.fsync(log)
            kept = self._keep(Head(entry.number, entry.hash), kept.size + len(line) + 1)
            rest = more
        if rest:
            ended = b"" if rest.endswith(b"\n") else b"\n"
            torn = {
                "event": TORN,
                "bytes": len(rest + ended),
                "sha256": hashlib.sha256(rest + ended).hexdigest(),
            }
            self._add(log, kept, torn, before=ended)
            kept = self._kept(log)
        return kept

    def _add(self, log: int, kept: _Kept, entry: Mapping[str, Any], before: bytes = b"") -> Sealed:
        at = self._clock().astimezone(UTC).isoformat(timespec="microseconds")
        content = {"number": kept.count + 1, "at": at, "entry": dict(entry)}
        sealed = Sealed(kept.count + 1, seal(kept.hash, content))
        line = canonical(content | {"previous": kept.hash, "hash": sealed.hash}).encode() + b"\n"
        if len(line) > MOST_LINE:
            raise ValueError(
                f"an audit entry has {len(line)} bytes, at most {MOST_LINE} are kept; log less of it"
            )
        _write(log, before + line)
        os.fsync(log)
        self._keep(Head(sealed.number, sealed.hash), os.fstat(log).st_size)
        return sealed

    # Files

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _shared(self) -> Iterator[None]:
        """Nobody writes meanwhile. A copy of a log, which may have no lock and can't be written, has no writers."""
        try:
            descriptor = os.open(self._lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise AuditUnwritable(f"{self.path} is not a file; move it away")
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            advice = {
                errno.ENOSPC: "free some space on its disk",
                errno.EDQUOT: "free some space on its disk",
                errno.ELOOP: "a link stands in its place: remove it",
                errno.EROFS: "mount it writable",
            }.get(error.errno or 0, "give this user the right to the folder")
            raise AuditUnwritable(
                f"the tools' log {self.path} can't be used: {error.strerror}; {advice}. Tools do nothing unlogged"
            ) from error


class _Reading:
    """Reads a log's lines into an inspection, and forgives torn ones that an entry accounts for."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._notes: list[str] = []
        self._odd, self._odd_bytes = hashlib.sha256(), 0

    def read(self, file: BinaryIO, size: int) -> None:
        """The first `size` bytes."""
        number = 0
        while size > 0:
            number += 1
            line = file.readline(min(size, MOST_LINE))
            if not line:
                return
            size -= len(line)
            self._take(line, f"line {number}", at_end=size == 0)

    def _take(self, line: bytes, where: str, at_end: bool) -> None:
        entry = _found(line.removesuffix(b"\n"), where)
        if not entry.intact:
            if at_end and not line.endswith(b"\n"):
                self._notes.append(
                    f"{where} is torn: a process ended while it wrote; the next entry accounts for it"
                )
                return
            self._odd.update(line)
            self._odd_bytes += len(line)
        elif self._odd_bytes:
            if self._accounts(line):
                self._inspection.forgive()
                self._notes.append(
                    f"{where} accounts for {self._odd_bytes} bytes before it, which a process that ended left"
                )
            self._odd, self._odd_bytes = hashlib.sha256(), 0
        self._inspection.take(entry)

    def _accounts(self, line: bytes) -> bool:
        entry = json.loads(line)["entry"]
        torn = {"event": TORN, "bytes": self._odd_bytes, "sha256": self._odd.hexdigest()}
        return bool(entry == torn)

    def end(self, name: str, headless: str) -> ChainReport:
        return self._inspection.end(name, notes=self._notes, unanchored=1, headless=headless)


def _found(line: bytes, where: str) -> Found:
    """A line as an entry; not intact where it isn't written exactly as `append` writes."""
    try:
        read = json.loads(line)
        content = {key: read[key] for key in ("number", "at", "entry")}
        previous, found = read["previous"], read["hash"]
        whole = canonical({**content, "previous": previous, "hash": found}).encode() == line
        intact = whole and type(read["number"]) is int and seal(previous, content) == found
        return Found(where, read["number"] if intact else 0, str(previous), str(found), intact)
    except (ValueError, TypeError, KeyError, RecursionError):
        return Found(where)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
