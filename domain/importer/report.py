"""What an import says: what was understood, what was not, and what was carried along as text."""

from dataclasses import dataclass, field
from typing import Any


class ImportFormatError(ValueError):
    """The document can't be read as the step format at all: says what, where, and what to do instead."""


@dataclass(frozen=True)
class Understood:
    """A value, or a part of a text, that became something in the definition or agrees with it."""

    path: str
    text: str
    meaning: str


@dataclass(frozen=True)
class NotUnderstood:
    """A value, or a part of a text, that says something about trading which the definition does not hold."""

    path: str
    text: str
    why: str
    nearest: str = ""
    """What is understood and comes nearest; '' where nothing does."""


@dataclass(frozen=True)
class Carried:
    """A value that is no rule (an id, a title, an author), kept word for word in the field `to`."""

    path: str
    text: str
    to: str


@dataclass(frozen=True)
class ImportResult:
    """One imported document.

    Every value of the document that isn't empty stands in `understood`, `not_understood` or `carried`, under its
    path; a text of several statements stands there in pieces that follow one another without a gap (only white space
    between them is left out). A piece is in one list only.
    """

    definition: dict[str, Any] | None
    """Canonical, accepted by `check_definition`; None where that can't be had: `problems` says why."""
    draft: dict[str, Any]
    """The same keys as far as they are known, also where `definition` is None: something to complete by hand."""
    understood: list[Understood] = field(default_factory=list)
    not_understood: list[NotUnderstood] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
