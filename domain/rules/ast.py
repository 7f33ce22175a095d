"""The rule language's tree. `domain.rules.parse` makes it; the compiler and the reader walk it.

Plain English and formal rules give the same tree. Every indicator call is complete: defaults are filled in, names are
canonical, parameters stand as `Parameter`. Spans are offsets into the rule's text, for messages.
"""

from dataclasses import dataclass, field
from typing import Literal

Span = tuple[int, int]
NO_SPAN: Span = (0, 0)


@dataclass(frozen=True)
class Number:
    value: float
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Parameter:
    """A parameter of the definition, by name."""

    name: str
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Price:
    """A column of the data."""

    column: Literal["Open", "High", "Low", "Close", "Volume"]
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Indicator:
    """One line of an indicator from the catalogue.

    `source` is the series it is computed from, for indicators of one series (SMA, RSI, MACD, highest …), and None for
    those of fixed columns (ATR, ADX, STOCH, OBV, VWAP …). `args` holds every argument, in the catalogue's order.
    `line` is a name from the catalogue; single-line indicators have one line, `value`.
    """

    name: str
    args: tuple[tuple[str, "Number | Parameter"], ...]
    source: "Expr | None"
    line: str = "value"
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Named:
    """A name from the definition's `indicators`, with what it stands for."""

    name: str
    expr: "Expr"
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Lag:
    """`expr`, `bars` bars ago (bars >= 1)."""

    expr: "Expr"
    bars: int
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Negative:
    expr: "Expr"
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Arithmetic:
    op: Literal["+", "-", "*", "/"]
    left: "Expr"
    right: "Expr"
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Compare:
    op: Literal["<", "<=", ">", ">=", "==", "!="]
    left: "Expr"
    right: "Expr"
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Cross:
    """above: left[1] <= right[1] and left > right; below: left[1] >= right[1] and left < right."""

    direction: Literal["above", "below"]
    left: "Expr"
    right: "Expr"
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Not:
    expr: "Condition"
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True)
class Logic:
    op: Literal["and", "or"]
    parts: tuple["Condition", ...]
    span: Span = field(default=NO_SPAN, compare=False)


Expr = Number | Parameter | Price | Indicator | Named | Lag | Negative | Arithmetic
Condition = Compare | Cross | Not | Logic


@dataclass(frozen=True)
class Rule:
    """One rule of a definition: `path` such as `entry_rules[0]`, its text, and its tree."""

    path: str
    text: str
    condition: Condition


@dataclass(frozen=True)
class Rulebook:
    """All rules of one definition, read. All of an entry list must hold; any of an exit list ends the position."""

    entry: tuple[Rule, ...]
    exit: tuple[Rule, ...]
    short_entry: tuple[Rule, ...]
    short_exit: tuple[Rule, ...]
