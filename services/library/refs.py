"""How refs move: by compare-and-swap, on the repository itself or on the remote whose mirror it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.library.errors import LibraryError, LibraryUnavailable
from services.library.git import Git, Ran, without_credentials

NOTHING = "0" * 40
_LOST_RACE = re.compile(
    r"but expected [0-9a-f]+|reference already exists|unable to resolve reference|reference is missing"
    r"|\.lock': File exists|failed to update ref|failed to lock|incorrect old value|stale info|fetch first"
    r"|non-fast-forward|atomic push fail|atomic transaction failed|remote ref does not exist"
)
_REFUSED = re.compile(r"\[remote rejected\] \([^)\n]*(declined|denied|prohibited|protected)")
"""By the remote's rules. Of the other refs of that push git then says what it says after a lost race."""
_PASSING = re.compile(
    r"Could not resolve host|Connection (refused|timed out|reset)|Timeout: the command|early EOF|hung up"
    r"|Failed to connect|Operation timed out|Network is unreachable|returned error: 5\d\d|RPC failed"
    r"|No space left on device"
)


@dataclass(frozen=True)
class Move:
    """`ref` goes from `old` to `new`; None stands for a ref that isn't there."""

    ref: str
    new: str | None
    old: str | None


class Refs(Protocol):
    """Where refs live."""

    def refresh(self) -> None:
        """Bring the refs of the repository up to date."""

    def move(self, moves: Sequence[Move]) -> bool:
        """Make all moves or none. False where a ref wasn't at its old place: look again and retry."""


class LocalRefs:
    """The repository is the library."""

    def __init__(self, git: Git) -> None:
        self._git = git

    def refresh(self) -> None:
        return

    def move(self, moves: Sequence[Move]) -> bool:
        lines = []
        for move in moves:
            if move.new:
                lines.append(f"update {move.ref} {move.new} {move.old or NOTHING}\n")
            else:
                lines.append(f"delete {move.ref} {move.old}\n")
        with self._git.scratch() as folder:
            (folder / "moves").write_text("".join(lines))
            ran = self._git(
                "update-ref", "--no-deref", "--stdin", input=folder / "moves", allowed=(0, 1, 128)
            )
        if ran.status == 0:
            return True
        if _LOST_RACE.search(ran.errors):
            self._git.break_stale_lock(ran.errors)
            return False
        raise self._git.failure("update-ref", ran)


class RemoteRefs:
    """The repository is a mirror: fetched before it is read, and pushed with a lease where a ref moves.

    The remote decides; the mirror follows.
    """

    def __init__(self, git: Git, url: str) -> None:
        self._git = git
        self._url = url

    def refresh(self) -> None:
        specs = ("+refs/heads/*:refs/heads/*", "+refs/tags/strategies/*:refs/tags/strategies/*")
        for _ in range(10):
            ran = self._git(
                *("fetch", "--quiet", "--prune", "--no-tags", "--force", "--no-write-fetch-head", "--"),
                *(self._url, *specs),
                remote=True,
                allowed=(0, 1, 128, -9),
            )
            if ran.status == 0:
                return
            # Another process may have moved the mirror's refs under this fetch; what it brought is as good.
            if not re.search(r"cannot lock ref|\.lock': File exists", ran.errors):
                raise self._failure("read", ran)
            self._git.break_stale_lock(ran.errors)
        raise LibraryUnavailable(f"too many processes fetch into the mirror {self._git.path}; try again")

    def move(self, moves: Sequence[Move]) -> bool:
        leases = [f"--force-with-lease={move.ref}:{move.old or ''}" for move in moves]
        specs = [f"{move.new or ''}:{move.ref}" for move in moves]
        ran = self._git(
            *("push", "--quiet", "--porcelain", "--atomic", "--no-verify", *leases, "--", self._url, *specs),
            remote=True,
            allowed=(0, 1, 128, -9),
        )
        if ran.status != 0:
            said = f"{ran.text}\n{ran.errors}"
            if _LOST_RACE.search(said) and not _REFUSED.search(said):
                return False
            raise self._failure("write", ran)
        # The remote has it; should the mirror fail to follow, the next refresh mends it.
        for move in moves:
            arguments = (
                ("update-ref", "--no-deref", move.ref, move.new)
                if move.new
                else ("update-ref", "-d", move.ref)
            )
            self._git(*arguments, allowed=(0, 1, 128))
        return True

    def _failure(self, verb: str, ran: Ran) -> LibraryError | LibraryUnavailable:
        said = without_credentials(f"{ran.text}\n{ran.errors}".strip())
        url = without_credentials(self._url)
        if ran.status == -9 or _PASSING.search(said):
            return LibraryUnavailable(
                f"the library's remote {url} can't be reached or written: {said}; check the network and its disk"
            )
        return LibraryError(
            f"can't {verb} the library's remote {url}: {said}; check the URL, the credentials and the right "
            "to push"
        )
