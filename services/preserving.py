"""What a failed try-out left in its sandbox, kept as an artifact: the sandbox itself is destroyed all the same."""

import gzip
import io
import tarfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from schemas.base import Shape
from schemas.code import Digest
from schemas.sandbox import Entry
from services.artifacts import Artifacts
from services.sandboxes import Sandbox, SandboxError, SandboxRefusal

MOST_FILES = 1000
MOST_BYTES = 16 << 20
"""Of content, in all; what doesn't fit is named in LEFT_OUT."""
LEFT_OUT = "LEFT_OUT.txt"


class Workspace(Shape):
    """A sandbox's workspace as it stood."""

    size: int
    """Bytes of its regular files, as far as they are among the first MOST_FILES entries."""
    kept: Digest | None = None
    """Artifact: a gzipped tar of it."""


def survey(
    sandbox: Sandbox,
    artifacts: Artifacts,
    *,
    keep: bool,
    known: Collection[str] = (),
    redact: Callable[[bytes], bytes] = bytes,
) -> Workspace | None:
    """Measure the workspace, and with `keep` store it; None where the sandbox is gone or can't be looked into.

    `known` are paths whose content is an artifact already: they are measured and not stored again. `redact` takes
    out of names and contents of files what mustn't be stored.

    Equal workspaces give equal digests. Links, FIFOs and what can't be read are named, never followed.
    """
    try:
        entries = sandbox.list(limit=MOST_FILES)
        kept = artifacts.put(_archive(sandbox, entries, known, redact)) if keep else None
    except SandboxError:
        return None
    return Workspace(size=sum(entry.size for entry in entries if entry.kind == "file"), kept=kept)


def contents(packed: bytes) -> dict[str, int]:
    """The paths of a preserved workspace, and the bytes that each holds."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {member.name: member.size for member in tar}


def unpack(packed: bytes, folder: Path) -> None:
    """Write a preserved workspace below `folder`. Its names are untrusted: none leads out of it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(folder, filter="data")


def _archive(
    sandbox: Sandbox, entries: Sequence[Entry], known: Collection[str], redact: Callable[[bytes], bytes]
) -> bytes:
    out, left_out, room = io.BytesIO(), [], MOST_BYTES
    if len(entries) == MOST_FILES:
        left_out.append(f"whatever comes after the first {MOST_FILES} entries")
    # no times and no owners: a retry gives the same bytes
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for entry in entries:
            if entry.kind == "directory" or entry.path in known:
                continue
            name = redact(entry.path.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
            if entry.kind != "file":
                left_out.append(f"{name}: a link, FIFO or device")
            elif entry.size > room:
                left_out.append(
                    f"{name}: {entry.size} bytes, more than the {room} that were left of {MOST_BYTES}"
                )
            else:
                try:
                    content = redact(sandbox.read(entry.path, max_bytes=room))
                except SandboxRefusal as refusal:
                    left_out.append(f"{name}: {refusal}")
                    continue
                room -= len(content)
                _add(tar, name, content)
        if left_out:
            _add(tar, LEFT_OUT, redact(("\n".join(left_out) + "\n").encode("utf-8", "surrogateescape")))
    return out.getvalue()


def _add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(path)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
