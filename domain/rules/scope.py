"""What a rule can refer to: the definition's names, the data's fields, the catalogue."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.rules.ast import Expr, Named, Parameter, Price, Span
from domain.rules.catalogue import ALIASES, CATALOGUE, IndicatorSpec
from domain.rules.errors import RuleError
from domain.rules.suggest import nearest

Column = Literal["Open", "High", "Low", "Close", "Volume"]

FIELDS: Mapping[str, Column] = {
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "price": "Close",
    "volume": "Volume",
}
"""Lower-case name to column."""

FIELDS_SHOWN = ("Open", "High", "Low", "Close", "Volume")

_ANY = "a field, an indicator or a name of this definition"
_INDICATOR = "an indicator"
_GLUED = re.compile(r"([A-Za-z_]*[A-Za-z])_?(\d+)")


def find_spec(name: str) -> IndicatorSpec | None:
    """The indicator of that name or alias, in any case."""
    canonical = ALIASES.get(name.upper())
    return CATALOGUE[canonical] if canonical else None


def glued(name: str) -> tuple[IndicatorSpec, int] | None:
    """`EMA50` and `EMA_50` as an indicator with its period; None for any other name."""
    found = _GLUED.fullmatch(name)
    spec = find_spec(found[1]) if found else None
    if not found or not spec or [argument.name for argument in spec.arguments] != ["period"]:
        return None
    return spec, int(found[2])


@dataclass(frozen=True)
class Scope:
    """One rule with what it may refer to. `interval` is the length of a bar, to which "20-day" is held."""

    path: str
    text: str
    parameters: Mapping[str, float]
    indicators: Mapping[str, Expr]
    interval: str

    def error(self, span: Span, message: str, suggestion: str = "") -> RuleError:
        return RuleError(self.path, self.text, span, message, suggestion)

    def own(self, name: str) -> bool:
        return name in self.parameters or name in self.indicators

    def lookalike(self, name: str) -> str | None:
        """A name of the definition that differs from `name` in case alone."""
        return next((own for own in self.names() if own != name and own.lower() == name.lower()), None)

    def names(self) -> list[str]:
        return [*self.parameters, *self.indicators]

    def reference(self, name: str, span: Span) -> Parameter | Named | Price | None:
        """What a bare name refers to in the definition or the data; None where it is neither."""
        field = FIELDS.get(name.lower())
        if self.own(name) and field:
            raise self.error(
                span, f"'{name}' is a name of this definition and the field {field}; give yours another name"
            )
        if name in self.parameters:
            return Parameter(name, span)
        if name in self.indicators:
            return Named(name, self.indicators[name], span)
        if field:
            return Price(field, span)
        return None

    def unknown(self, name: str, span: Span, kind: str = _ANY) -> RuleError:
        """What is said of a name that means nothing, with the nearest that would."""
        own = self.names() if kind == _ANY else []
        near = nearest(name, [*own, *(FIELDS_SHOWN if kind != _INDICATOR else ()), *ALIASES])
        text = self.text[: span[0]] + near + self.text[span[1] :] if near else ""
        return self.error(span, f"'{name}' is not {kind}", text)
