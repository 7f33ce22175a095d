"""Sentences on stops, targets and size that stand among a definition's rules: moved to where they belong, visibly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.rules.book import Draft, RuleProblem
from domain.rules.english import LISTS
from domain.rules.errors import RuleError
from domain.rules.risk import RiskPhrase, looks_like_risk, parse_risk_phrase
from schemas.definition import Distance, PositionSizing

_SIDES = {
    "entry_rules": "long",
    "exit_rules": "long",
    "short_entry_rules": "short",
    "short_exit_rules": "short",
}


@dataclass(frozen=True)
class Line:
    path: str
    text: str
    side: str
    phrase: RiskPhrase


@dataclass
class Moved:
    """The data without those sentences, what was done, and where the remaining rules stood before."""

    data: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    problems: list[RuleProblem] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)

    def original(self, path: str) -> str:
        """A path in `data` as a path in the data as it was given."""
        found = re.match(r"(\w+)\[(\d+)\]", path)
        if not found or found[1] not in self.places or int(found[2]) >= len(self.places[found[1]]):
            return path
        return f"{found[1]}[{self.places[found[1]][int(found[2])]}]{path[found.end():]}"


def take_risk_lines(data: Mapping[str, Any]) -> Moved:
    """Move each such sentence to `risk_limits` or `position_sizing`, where those say nothing of it yet."""
    moved = Moved(dict(data))
    units = Draft.of(data).units
    lines: list[Line] = []
    for name in LISTS:
        rules = data.get(name)
        if not isinstance(rules, list | tuple):
            continue
        kept: list[Any] = []
        places: list[int] = []
        for place, text in enumerate(rules):
            phrase = _phrase(text, units)
            if phrase is None:
                kept.append(text)
                places.append(place)
            else:
                lines.append(Line(f"{name}[{place}]", text, _SIDES[name], phrase))
        if len(kept) < len(rules):
            moved.data[name], moved.places[name] = kept, places
    for kind in dict.fromkeys(line.phrase.kind for line in lines):
        _move(moved, [line for line in lines if line.phrase.kind == kind])
    return moved


def _phrase(text: Any, units: Mapping[str, Any]) -> RiskPhrase | None:
    if not isinstance(text, str) or not looks_like_risk(text):
        return None
    try:
        return parse_risk_phrase(text, **units)
    except RuleError:
        return None  # a rule, or refused with the rules


def _move(moved: Moved, lines: list[Line]) -> None:
    first = lines[0]
    kind = first.phrase.kind
    target = "position_sizing" if kind == "sizing" else f"risk_limits.{kind}"
    problems = [problem for line in lines if (problem := _problem(moved, line, first, lines, target))]
    if problems:
        moved.problems += problems
        return
    value = _plain(first.phrase.value)
    if kind == "sizing":
        moved.data["position_sizing"] = value
    else:
        limits = moved.data.get("risk_limits")
        moved.data["risk_limits"] = {**(limits if isinstance(limits, Mapping) else {}), kind: value}
    moved.notes += [
        f"{line.path} '{' '.join(line.text.split())}' was read as {line.phrase}" for line in lines
    ]


def _problem(moved: Moved, line: Line, first: Line, lines: list[Line], target: str) -> RuleProblem | None:
    if line.phrase.side not in (None, line.side):
        message = f"on the {line.side} side this lies on the wrong side of the entry"
        return RuleProblem(line.path, line.text, message)
    if _given(moved.data, target):
        return RuleProblem(line.path, line.text, f"{target} is given as well; keep one of the two")
    if line.phrase.value != first.phrase.value:
        return RuleProblem(
            line.path, line.text, f"{first.path} says otherwise: '{first.text}'; {target} holds for both"
        )
    other = "short" if line.side == "long" else "long"
    enters = moved.data.get("short_entry_rules" if other == "short" else "entry_rules")
    if enters and other not in {each.side for each in lines}:
        message = f"{target} holds for long and short; say it on the {other} side as well, or set {target}"
        return RuleProblem(line.path, line.text, message)
    return None


def _given(data: Mapping[str, Any], target: str) -> bool:
    if target == "position_sizing":
        return data.get("position_sizing") is not None
    limits = data.get("risk_limits")
    return isinstance(limits, Mapping) and limits.get(target.removeprefix("risk_limits.")) is not None


def _plain(value: Distance | PositionSizing | float) -> Any:
    return value.model_dump(mode="json") if isinstance(value, Distance | PositionSizing) else value
