"""Where reading is written down: one entry for each value of the document, filled in by whoever knows the field."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.importer.document import Leaf, child, key_text
from domain.importer.phrases import Refusal
from domain.importer.readings import Act, Context, LimitSaid, Part, Rank, Reading, Side
from domain.importer.sentences import is_cut
from domain.importer.statements import Piece, read_text

CUT = "the text breaks off here, so how this statement ends is not known"


class Sheet:
    """The parts of every leaf. The first to write about a leaf decides; what nobody reads is carried to the notes."""

    def __init__(self, leaves: Sequence[Leaf], context: Context) -> None:
        self.context = context
        self._leaves = {leaf.path: leaf for leaf in leaves}
        self._parts: dict[str, list[Part]] = {}

    def leaf(self, path: str) -> Leaf | None:
        return self._leaves.get(path)

    def parts(self) -> list[Part]:
        """All parts, in document order."""
        return [part for leaf in self._leaves.values() for part in self.parts_of(leaf.path)]

    def parts_of(self, path: str) -> list[Part]:
        if path not in self._parts and (leaf := self._leaves.get(path)):
            return [Part(path, leaf.text, to="notes")]
        return self._parts.get(path, [])

    def put(self, path: str, parts: list[Part]) -> None:
        if path in self._leaves:
            self._parts.setdefault(path, parts)

    def carry(self, path: str, to: str) -> None:
        """Keep the value word for word in the field `to`."""
        if leaf := self._leaves.get(path):
            self.put(path, [Part(path, leaf.text, to=to)])

    def mean(
        self, path: str, meaning: str, readings: Sequence[Reading] = (), step: int | None = None
    ) -> None:
        if leaf := self._leaves.get(path):
            self.put(path, [Part(path, leaf.text, step=step, readings=list(readings), meaning=meaning)])

    def refuse(self, path: str, why: str, nearest: str = "", step: int | None = None) -> None:
        if leaf := self._leaves.get(path):
            self.put(path, [Part(path, leaf.text, step=step, why=why, nearest=nearest)])

    def refuse_all(self, path: str, value: Any, why: str, nearest: str = "", step: int | None = None) -> None:
        for at in leaf_paths(value, path):
            self.refuse(at, why, nearest, step)

    def outcome(self, path: str, outcome: LimitSaid | Refusal, step: int | None) -> None:
        if isinstance(outcome, LimitSaid):
            self.mean(path, "", [outcome], step)
        else:
            self.refuse(path, *outcome, step=step)

    def outcome_of_many(self, paths: Sequence[str], outcome: LimitSaid | Refusal, step: int | None) -> None:
        """One limit of several values: the first carries it, the others describe it."""
        amount, *others = paths
        self.outcome(amount, outcome, step)
        for path in others:
            if isinstance(outcome, LimitSaid):
                self.mean(path, f"describes the limit beside it: {outcome.shown}", step=step)
            else:
                self.refuse(path, "describes the limit beside it, which is not understood", step=step)

    def read(
        self,
        path: str,
        rank: Rank,
        step: int | None = None,
        *,
        act: Act = "",
        sides: tuple[Side, ...] = (),
        bare: bool = False,
        carry: str = "",
        group: str = "",
    ) -> None:
        """Read a text. `act`, `sides` and `bare` are for conditions without a verb (see `read_text`).

        Where `carry` is set, pieces that don't even begin as a statement are no loss and go to that field.
        """
        leaf = self._leaves.get(path)
        if leaf is None:
            return
        parts: list[Part] = []
        for piece in read_text(leaf.text, self.context, act, sides, bare=bare):
            part = Part(
                path, piece.text, rank, step, list(piece.readings), why=piece.why, nearest=piece.nearest
            )
            part.group, part.act = group, act
            if _is_no_loss(piece, rank, carry):
                part.to, part.why, part.nearest = carry or "notes", "", ""
            parts.append(part)
        if parts and is_cut(leaf.text):
            _cut(parts[-1])
        self.put(path, parts or [Part(path, leaf.text, to="notes")])

    def read_all(self, path: str, value: Any, rank: Rank, step: int | None = None, **more: Any) -> None:
        """Read a text, or the texts in a list or object."""
        for at in leaf_paths(value, path):
            leaf = self._leaves.get(at)
            if leaf and isinstance(leaf.value, str):
                self.read(at, rank, step, **more)


def _is_no_loss(piece: Piece, rank: Rank, carry: str) -> bool:
    if piece.heading:
        return True
    return bool(carry) and not piece.readings and (rank is Rank.TITLE or not piece.opened)


def _cut(part: Part) -> None:
    part.cut, part.readings, part.nearest = True, [], ""
    part.to = "notes" if part.rank is Rank.TITLE else ""
    part.why = "" if part.to else CUT


def leaf_paths(value: Any, path: str) -> list[str]:
    """The paths of all scalars in a value."""
    if isinstance(value, Mapping):
        return [at for key, member in value.items() for at in leaf_paths(member, child(path, key_text(key)))]
    if isinstance(value, list | tuple):
        return [
            at for position, member in enumerate(value) for at in leaf_paths(member, child(path, position))
        ]
    return [path]
