"""What a statement can say. A part of a text carries one or more of these, or the reason why it carries none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from domain.rules.ast import Condition, Logic

Act = Literal["entry", "exit", "sell", ""]
"""`sell` alone leaves a long position or enters a short one; '' is a condition without a verb."""
Side = Literal["long", "short"]
SIDES: tuple[Side, Side] = ("long", "short")


@dataclass(frozen=True)
class Context:
    """What a statement is read against. `symbol` is '' where it isn't known."""

    parameters: Mapping[str, float]
    symbol: str
    interval: str


@dataclass(frozen=True)
class RuleSaid:
    """A condition and what it is for. `sides` is empty where the text doesn't say which."""

    act: Act
    sides: tuple[Side, ...]
    text: str
    tree: Condition
    worded: bool = True
    """Whether the text has a verb of its own; else `act` and `sides` are those of the field it stands in."""

    @property
    def conditions(self) -> frozenset[Condition]:
        """What must hold together."""
        return frozenset(conjuncts(self.tree))


def conjuncts(tree: Condition) -> tuple[Condition, ...]:
    if isinstance(tree, Logic) and tree.op == "and":
        return tuple(each for part in tree.parts for each in conjuncts(part))
    return (tree,)


Slot = Literal["stop_loss", "take_profit", "trailing_stop", "max_holding_bars", "max_position", "sizing"]


@dataclass(frozen=True)
class LimitSaid:
    """A stop, target, size or other limit: `value` in canonical form, `shown` as a person reads it."""

    slot: Slot
    value: dict[str, Any] | int | float
    shown: str
    side: Side | None = None
    """The side that the wording fits ("stop 2% below entry": long), None where it fits both."""


@dataclass(frozen=True)
class ParameterSaid:
    name: str
    value: int | float


@dataclass(frozen=True)
class SettingSaid:
    """The symbol or the interval."""

    key: Literal["symbol", "interval"]
    value: str


Reading = RuleSaid | LimitSaid | ParameterSaid | SettingSaid


class Rank(IntEnum):
    """Where something is said; the lower one wins where two differ."""

    FIELD = 0  # trigger, condition, exit, risk_controls, size, params
    NOTES = 1
    TITLE = 2
    SOURCE = 3  # description and provenance


@dataclass
class Part:
    """A value or a piece of a text, and what came of it. `step` is the index of its step in the document."""

    path: str
    text: str
    rank: Rank = Rank.FIELD
    step: int | None = None
    readings: list[Reading] = field(default_factory=list)
    meaning: str = ""
    why: str = ""
    nearest: str = ""
    to: str = ""
    """Set where the part is no statement and is carried along: the field that holds it."""
    cut: bool = False
    """The text ends here in the middle of a sentence."""
    act: Act = ""
    """What the field it stands in is for."""
    group: str = ""
    """Conditions of one group must hold together; without a group each stands for itself."""
    order_type: bool = False
    lost: bool = False
    shown: list[str] = field(default_factory=list)
    """What became of the readings, in words."""

    @property
    def rules(self) -> list[RuleSaid]:
        return [reading for reading in self.readings if isinstance(reading, RuleSaid)]

    def refuse(self, why: str, nearest: str = "") -> None:
        """Take back what was read: it lost against something else."""
        self.readings, self.why, self.nearest, self.to, self.lost = [], why, nearest, "", True


@dataclass
class Label:
    """What a step calls itself."""

    act: Act = ""
    sides: tuple[Side, ...] = ()
    name: str = ""
    path: str = ""


@dataclass
class DocumentRead:
    """Everything that was read from one document."""

    parts: list[Part] = field(default_factory=list)
    labels: dict[int, Label] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    """Indices of the steps in their order."""


@dataclass
class Settled:
    """The values that were chosen."""

    settings: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, int | float] = field(default_factory=dict)
    limits: dict[Slot, LimitSaid] = field(default_factory=dict)
    entries: dict[Side, list[str]] = field(default_factory=dict)
    exits: dict[Side, list[str]] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    """Why the rules that were chosen say less than the document."""
