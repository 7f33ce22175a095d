"""Pydantic's findings in plain words: the path of the field, what was found, what is allowed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from domain.rules.suggest import nearest
from schemas.definition import Distance, PositionSizing, RiskLimits, StrategyDefinition, Thresholds


@dataclass(frozen=True)
class Problem:
    """One thing wrong: the field's path ('' for the whole), what was found there, what is wrong and what is allowed."""

    path: str
    found: str
    message: str

    def __str__(self) -> str:
        first, *rest = self.message.splitlines()
        found = "" if rest or not self.found else f" (found {self.found})"
        return "\n".join([f"{self.path + ': ' if self.path else ''}{first}{found}", *rest])


def shown(value: Any) -> str:
    """A value as a short text."""
    match value:
        case Mapping():
            return f"an object with {len(value)} keys"
        case list() | tuple():
            return f"a list of {len(value)}"
        case int():
            text = str(value) if value.bit_length() < 300 else "a number of very many digits"
        case _:
            text = repr(value[:100] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 90 else text[:89] + "…"


def _short(message: str) -> str:
    return message if len(message) <= 400 else f"{message[:200]} … {message[-199:]}"


_MODELS: dict[str, type[BaseModel]] = {
    "": StrategyDefinition,
    "position_sizing": PositionSizing,
    "risk_limits": RiskLimits,
    "thresholds": Thresholds,
    "risk_limits.stop_loss": Distance,
    "risk_limits.take_profit": Distance,
    "risk_limits.trailing_stop": Distance,
}

_HALF = re.compile(r"[\ud800-\udfff]")
_NUMBER_OR_NAME = re.compile(r"risk_limits\.(?:\w+\.value|max_holding_bars)")
_OWN_PATH = re.compile(r"([a-z_]+(?:\.\w+)?): (.+)", re.DOTALL)


def in_words(error: ValidationError, data: Mapping[str, Any]) -> list[Problem]:
    """One problem a field, in the order of the fields."""
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        problem = _problem(detail, data)
        # a union fails once for each of its members: the member that explains itself is kept
        if problem.path not in problems or detail["type"] == "value_error":
            problems[problem.path] = problem
    return list(problems.values())


def _problem(detail: ErrorDetails, data: Mapping[str, Any]) -> Problem:
    path, place, value = _place(detail, data)
    match detail["type"]:
        case "missing":
            return Problem(path, "nothing", "this key is required")
        case "extra_forbidden":
            return Problem(path, shown(value), _unknown_key(place))
        case "value_error":
            message = _short(str(detail["ctx"]["error"]))
            if own := _OWN_PATH.fullmatch(message):
                inner = f"{path}.{own[1]}" if path else own[1]
                return Problem(inner, shown(_at(data, inner)), own[2])
            return Problem(path, shown(value), message)
    if _NUMBER_OR_NAME.fullmatch(path):
        return Problem(path, shown(value), "allowed are a number above 0 and the name of a parameter")
    return Problem(path, shown(value), _allowed(detail))


def _place(detail: ErrorDetails, data: Mapping[str, Any]) -> tuple[str, tuple[str | int, ...], Any]:
    """The path as far as it lies in the data (pydantic adds the names of union members), and the value there."""
    at: Any = data
    place: list[str | int] = []
    for part in detail["loc"]:
        if _holds(at, part):
            at = at[part]
        elif detail["type"] == "missing":
            at = None
        else:
            break
        place.append(part)
    if detail["loc"] and detail["loc"][-1] == "[key]":
        at = detail["input"]
    return _dotted(place), tuple(place), at


def half_characters(data: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem for each text that no file can hold: JSON's "\\ud800" is half of a character."""
    stack: list[tuple[str, Any]] = [("", data)]
    while stack:
        path, at = stack.pop()
        texts: tuple[Any, ...] = ()
        if len(path) > 200:  # deeper than any definition: refused by the schema
            continue
        if isinstance(at, Mapping):
            texts = tuple(at)
            stack.extend((f"{path}.{shorten(str(key))}".lstrip("."), part) for key, part in at.items())
        elif isinstance(at, list | tuple):
            stack.extend((f"{path}[{number}]", part) for number, part in enumerate(at))
        elif isinstance(at, str):
            texts = (at,)
        if any(isinstance(text, str) and _HALF.search(text) for text in texts):
            yield Problem(path, "", "this holds half of a character (a lone surrogate such as \\ud800)")


def _holds(at: Any, part: str | int) -> bool:
    if isinstance(at, Mapping):
        return part in at
    return isinstance(at, list | tuple) and isinstance(part, int) and part < len(at)


def _dotted(place: list[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{shorten(part)}" for part in place).lstrip(
        "."
    )


def shorten(key: str) -> str:
    """A key fit for one line."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in key)
    return text if len(text) <= 80 else text[:79] + "…"


def _at(data: Mapping[str, Any], path: str) -> Any:
    at: Any = data
    for part in path.split("."):
        at = at.get(part) if isinstance(at, Mapping) else None
    return at


def _unknown_key(place: tuple[str | int, ...]) -> str:
    parent = ".".join(str(part) for part in place[:-1])
    keys = list(_MODELS[parent].model_fields) if parent in _MODELS else []
    near = nearest(str(place[-1]), keys)
    return f"unknown key; did you mean {near}?" if near else f"unknown key; allowed are {', '.join(keys)}"


def _allowed(detail: ErrorDetails) -> str:
    ctx = detail.get("ctx", {})
    match detail["type"]:
        case "string_too_long":
            return f"at most {ctx['max_length']} characters are allowed"
        case "string_too_short":
            return f"at least {ctx['min_length']} characters are needed"
        case "too_long":
            return f"at most {ctx['max_length']} entries are allowed"
        case "string_type":
            return "a text is needed"
        case "list_type":
            return 'a list is needed, such as ["RSI(14) < 30"]'
        case "dict_type" | "model_type" | "model_attributes_type":
            return 'an object is needed, such as {"name": …}'
        case "literal_error":
            return f"allowed is {ctx['expected']}"
        case "enum":
            return f"allowed are {ctx['expected']}"
        case "string_pattern_mismatch":
            return f"allowed are texts of the form {ctx['pattern']}"
        case "greater_than":
            return f"it must be more than {ctx['gt']}"
        case "greater_than_equal":
            return f"it must be at least {ctx['ge']}"
        case "less_than":
            return f"it must be less than {ctx['lt']}"
        case "less_than_equal":
            return f"it must be at most {ctx['le']}"
        case "int_from_float" | "int_type" | "int_parsing":
            return "a whole number is needed"
        case "float_type" | "float_parsing" | "finite_number":
            return "a number is needed"
        case kind if kind.startswith("date"):
            return "a date is needed, such as 2020-01-31"
    return str(detail["msg"][:1].lower() + detail["msg"][1:])
