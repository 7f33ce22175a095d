"""All texts of one definition, read: names checked, indicators in the order they need, rules into a rulebook."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from domain.rules.ast import Expr, Rule, Rulebook
from domain.rules.catalogue import CATALOGUE
from domain.rules.english import LISTS
from domain.rules.errors import RuleError
from domain.rules.parse import is_reserved, names_in, parse_expression, parse_rule
from domain.rules.risk import is_risk_phrase, looks_like_risk, parse_risk_phrase, pip_size
from domain.rules.scope import FIELDS
from domain.rules.suggest import nearest

_DISTANCES = ("stop_loss", "take_profit", "trailing_stop")


@dataclass(frozen=True)
class RuleProblem:
    path: str
    text: Any
    message: str


@dataclass(frozen=True)
class Draft:
    """What a definition's data says about rules, as far as it has the right type; the rest is left to the schema."""

    parameters: Mapping[str, Any]
    indicators: Mapping[str, str]
    rules: Mapping[str, Mapping[int, str]]
    limits: Mapping[str, Any]
    interval: str
    symbol: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Draft":
        interval, symbol = data.get("interval", "1d"), data.get("symbol")
        return cls(
            parameters=_texts_to(data.get("parameters"), lambda value: True),
            indicators=_texts_to(data.get("indicators"), _filled),
            rules={name: _numbered(data.get(name)) for name in LISTS},
            limits=_texts_to(data.get("risk_limits"), lambda value: True),
            interval=interval if isinstance(interval, str) else "1d",
            symbol=symbol if isinstance(symbol, str) else "",
        )

    @property
    def units(self) -> dict[str, Any]:
        """What a sentence on risk needs to know: the length of a bar, the size of a pip."""
        return {"interval": self.interval, "pip": pip_size(self.symbol)}

    def limit_names(self) -> Iterator[str]:
        """Parameter names that stand in the risk limits."""
        for key in _DISTANCES:
            limit = self.limits.get(key)
            if isinstance(limit, Mapping) and isinstance(limit.get("value"), str):
                yield limit["value"]
        if isinstance(self.limits.get("max_holding_bars"), str):
            yield self.limits["max_holding_bars"]


def _filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts_to(data: Any, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        return {}
    return {key: value for key, value in data.items() if isinstance(key, str) and wanted(value)}


def _numbered(data: Any) -> dict[int, str]:
    return (
        {place: text for place, text in enumerate(data) if _filled(text)}
        if isinstance(data, list | tuple)
        else {}
    )


def read_draft(draft: Draft) -> tuple[Rulebook, list[RuleProblem]]:
    """The rulebook of all that could be read, and what could not. The rulebook is whole where there is no problem."""
    reading = _Reading(draft)
    reading.check_names()
    reading.check_parameters()
    reading.read_indicators()
    rules = {name: reading.read_rules(name) for name in LISTS}
    reading.check_limits()
    book = Rulebook(
        rules["entry_rules"], rules["exit_rules"], rules["short_entry_rules"], rules["short_exit_rules"]
    )
    return book, reading.problems


class _Reading:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.parameters: dict[str, float] = {}
        self.indicators: dict[str, Expr] = {}
        self.broken: set[str] = set()
        self.problems: list[RuleProblem] = []

    def check_names(self) -> None:
        for kind, names in (("parameters", self.draft.parameters), ("indicators", self.draft.indicators)):
            for name in names:
                if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or len(name) > 64:
                    self.broken.add(name)  # the schema says so
                elif name.lower() in FIELDS or is_reserved(name):
                    self._broke(
                        kind, name, name, f"'{name}' is a word of the rule language; choose another name"
                    )
                elif kind == "parameters" and name in CATALOGUE:
                    message = (
                        f"'{name}' is an indicator; choose another name, for example '{name.lower()}_value'"
                    )
                    self._broke(kind, name, name, message)

    def check_parameters(self) -> None:
        for name, value in self.draft.parameters.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                self._broke("parameters", name, value, "a number is needed")
            elif not _finite(value):
                self._broke("parameters", name, value, "a finite number is needed")
            else:
                self.parameters[name] = value

    def _broke(self, kind: str, name: str, found: Any, message: str) -> None:
        self.broken.add(name)
        self.problems.append(RuleProblem(f"{kind}.{name}", found, message))

    def read_indicators(self) -> None:
        """In an order in which each finds what it refers to; a circle is refused once, by its names."""
        texts = dict(self.draft.indicators)
        graph = {name: sorted(names_in(text) & texts.keys()) for name, text in texts.items()}
        while True:
            sorter = TopologicalSorter(graph)
            try:
                order = list(sorter.static_order())
                break
            except CycleError as error:
                circle = error.args[1][::-1]
                message = "this refers to itself: " + " needs ".join(circle)
                if len(circle) == 2 and circle[0].upper() in CATALOGUE:
                    message += f"; the indicator is written {circle[0]}(…)"
                self._broke("indicators", circle[0], texts[circle[0]], message)
                self.broken |= set(circle)
                graph = {name: [] if name in circle else needs for name, needs in graph.items()}
        for name in order:
            if name in self.broken:
                continue
            path = f"indicators.{name}"
            try:
                self.indicators[name] = parse_expression(texts[name], path=path, **self._context())
            except RuleError as error:
                self.broken.add(name)
                self._refused(path, texts[name], error)

    def _context(self) -> dict[str, Any]:
        return {"parameters": self.parameters, "indicators": self.indicators, "interval": self.draft.interval}

    def _refused(self, path: str, text: str, error: RuleError) -> None:
        if error.found not in self.broken:  # what follows from another problem is not told again
            self.problems.append(RuleProblem(path, text, error.explanation))

    def read_rules(self, name: str) -> tuple[Rule, ...]:
        rules = []
        for place, text in self.draft.rules[name].items():
            path = f"{name}[{place}]"
            try:
                rules.append(
                    Rule(path, " ".join(text.split()), parse_rule(text, path=path, **self._context()))
                )
            except RuleError as error:
                self._refused(path, text, _better(text, error, self.draft.units))
        return tuple(rules)

    def check_limits(self) -> None:
        for key in _DISTANCES:
            limit = self.draft.limits.get(key)
            if isinstance(limit, Mapping) and isinstance(limit.get("value"), str):
                self._limit(f"risk_limits.{key}.value", limit["value"], whole=False)
        if isinstance(self.draft.limits.get("max_holding_bars"), str):
            self._limit("risk_limits.max_holding_bars", self.draft.limits["max_holding_bars"], whole=True)

    def _limit(self, path: str, name: str, whole: bool) -> None:
        if name in self.broken:
            return
        if name not in self.parameters:
            near = nearest(name, self.parameters)
            message = f"'{name}' is not a parameter" + (f"; did you mean {near}?" if near else "")
            self.problems.append(RuleProblem(path, name, message))
            return
        value = self.parameters[name]
        if whole and (value != int(value) or not 1 <= value <= 100_000):
            message = f"parameter {name} = {value:g} must be a whole number from 1 to 100000 here"
            self.problems.append(RuleProblem(path, name, message))
        elif value <= 0:
            self.problems.append(
                RuleProblem(path, name, f"parameter {name} = {value:g} must be more than 0 here")
            )


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _better(text: str, error: RuleError, context: Mapping[str, Any]) -> RuleError:
    """Of two readings that failed, as a rule and as a sentence on risk, the one that got further."""
    try:
        parse_risk_phrase(text, path=error.path, **context)
    except RuleError as other:
        if is_risk_phrase(text) or (looks_like_risk(text) and other.span[0] >= error.span[0]):
            return other
    return error
