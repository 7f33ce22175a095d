"""A chain of entries: each is sealed with the hash of the one before it, so that none can be changed, taken out, put
in or moved without breaking a seal. Two things are kept so: the log of the typed tools and the records' audit table.

A seal is `sha256(previous + "\\n" + canonical(content))` in lower-case hex; `previous` is the seal of the entry
before, and GENESIS for the first. Seals need no key: they show what was altered, as long as one head is kept where
whoever alters the entries can't reach.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

GENESIS = "0" * 64
"""What the first entry is chained to."""
MOST_FINDINGS = 50
"""Findings in one report; the rest is counted."""

Kind = Literal["changed", "removed", "inserted", "reordered", "truncated", "rewritten", "no_head"]


def canonical(value: Any) -> str:
    """One ASCII text for equal JSON values. Raises ValueError for NaN and infinities, TypeError for what isn't JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def seal(previous: str, content: Mapping[str, Any]) -> str:
    """The hash of an entry that follows the one sealed `previous`. Raises as `canonical` does."""
    return hashlib.sha256(f"{previous}\n{canonical(content)}".encode()).hexdigest()


@dataclass(frozen=True)
class Head:
    """How many entries there are, and the seal of the last."""

    count: int = 0
    hash: str = GENESIS


@dataclass(frozen=True)
class Found:
    """One entry as it was found; `intact` where its content and `previous` give its hash."""

    where: str
    number: int = 0
    previous: str = ""
    hash: str = ""
    intact: bool = False


@dataclass(frozen=True)
class Finding:
    """One break of the chain: where it shows, and what it means."""

    kind: Kind
    where: str
    message: str


@dataclass(frozen=True)
class ChainReport:
    """What became of one chain. `head` is what was found, not what was kept."""

    name: str
    head: Head
    findings: tuple[Finding, ...] = ()
    more: int = 0
    """Findings beyond those that are listed."""
    notes: tuple[str, ...] = ()
    """What is odd and has an honest cause."""

    @property
    def ok(self) -> bool:
        return not self.findings


class Inspection:
    """Takes the entries of a chain in the order in which they stand, and tells what breaks it.

    Its memory doesn't grow with the chain. An entry that isn't intact can't be asked for its number, so the next
    intact one tells what it is: changed, where that one leaves room for it, and inserted, where it doesn't.
    """

    def __init__(self, heads: Sequence[Head]) -> None:
        """`heads` were kept elsewhere: the anchor, and whatever a person wrote down."""
        self._heads = heads
        self._next, self._last = 1, GENESIS
        self._broken: list[Found] = []
        self._more_broken = 0
        self._gaps: list[tuple[int, int, str]] = []
        self._findings: list[Finding] = []
        self._more = 0
        self._compare(0, GENESIS, "the beginning")

    @property
    def due(self) -> Head:
        """The head so far: what the next entry must be chained to."""
        return Head(self._next - 1, self._last)

    def take(self, entry: Found) -> None:
        if not entry.intact:
            if len(self._broken) < MOST_FINDINGS:
                self._broken.append(entry)
            else:
                self._more_broken += 1
            return
        follows = entry.number == self._next and entry.previous == self._last
        room = entry.number - self._next
        broken = self._settle("inserted" if follows else "changed", most=room)
        if entry.number < self._next:
            self._misplaced(entry)
            return
        if entry.number > self._next:
            self._gap(self._next, entry.number - 1, entry.where)
        elif not follows and not broken:
            self._find(
                "changed",
                entry.where,
                f"entry {entry.number} was chained to another one than stands before it",
            )
        self._advance(entry.number, entry.hash, entry.where)

    def forgive(self) -> None:
        """Forget the entries since the last intact one: an entry accounts for them."""
        self._broken.clear()
        self._more_broken = 0

    def end(
        self, name: str, *, notes: Sequence[str] = (), unanchored: int = 0, headless: str = ""
    ) -> ChainReport:
        """The report. The chain may be `unanchored` entries longer than the first head says; `headless` says how the
        head that should have been kept was lost."""
        if headless:
            self._find("no_head", "the end", headless)
        self._settle("changed", most=len(self._broken) + self._more_broken)
        for first, last, where in self._gaps:
            self._find("removed", where, f"{_entries(first, last)} {_were(first, last)} removed before it")
        count = self._next - 1
        for head in self._heads:
            if head.count > count:
                lost = _entries(count + 1, head.count)
                self._find(
                    "truncated", "the end", f"{lost} {_were(count + 1, head.count)} cut off at the end"
                )
        if self._heads and not headless and count > self._heads[0].count + unanchored:
            self._find(
                "inserted",
                "the end",
                f"{_entries(self._heads[0].count + 1, count)} came in unknown to the head that is kept, which "
                f"counts {self._heads[0].count}",
            )
        return ChainReport(name, self.due, tuple(self._findings), self._more, tuple(notes))

    def _settle(self, kind: Kind, most: int) -> bool:
        """Say what the entries that aren't intact are, and whether there were any; at most `most` have room."""
        had = bool(self._broken)
        for entry in self._broken:
            if kind == "changed" and most > 0:
                most -= 1
                number = self._next
                self._find(
                    "changed", entry.where, f"entry {number} was changed: its content doesn't give its hash"
                )
                self._advance(number, entry.hash, entry.where)
            else:
                self._find("inserted", entry.where, "this isn't an entry of the chain")
        self._more += self._more_broken
        if kind == "changed" and self._more_broken and most > 0:
            self._next += min(most, self._more_broken)
        self.forgive()
        return had

    def _advance(self, number: int, found: str, where: str) -> None:
        self._next, self._last = number + 1, found
        self._compare(number, found, where)

    def _compare(self, number: int, found: str, where: str) -> None:
        for head in self._heads:
            if head.count == number and head.hash != found:
                self._find(
                    "rewritten",
                    where,
                    f"entry {number} has the hash {found[:16] or 'of none'}…, but {head.hash[:16]}… was kept: the "
                    "chain was written anew up to it",
                )

    def _gap(self, first: int, last: int, where: str) -> None:
        if len(self._gaps) < MOST_FINDINGS:
            self._gaps.append((first, last, where))
        else:
            self._more += 1

    def _misplaced(self, entry: Found) -> None:
        for at, (first, last, where) in enumerate(self._gaps):
            if first <= entry.number <= last:
                rest = [(first, entry.number - 1, where), (entry.number + 1, last, where)]
                self._gaps[at : at + 1] = [gap for gap in rest if gap[0] <= gap[1]]
                self._find(
                    "reordered", entry.where, f"entry {entry.number} stands after entry {self._next - 1}"
                )
                return
        self._find("inserted", entry.where, f"another entry {entry.number} stands before it")

    def _find(self, kind: Kind, where: str, message: str) -> None:
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(Finding(kind, where, message))
        else:
            self._more += 1


def _entries(first: int, last: int) -> str:
    return f"entry {first}" if first == last else f"the entries {first} to {last}"


def _were(first: int, last: int) -> str:
    return "was" if first == last else "were"
