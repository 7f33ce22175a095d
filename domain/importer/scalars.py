"""Names, numbers and dates as older documents write them."""

import keyword
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from domain.rules.catalogue import ALIASES

T = TypeVar("T")
_SEMVER = re.compile(r"v?(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?")
_PRICES = {"open", "high", "low", "close", "volume", "price"}
_WORDS = {"and", "or", "not", "crosses", "cross", "above", "below", "over", "under", "between", "is", "when"}


def plain_key(key: Any) -> str:
    """A key in lower case with single '_': 'Stop-Loss %' is 'stop_loss_percent', 'stopLoss' is 'stop_loss'."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(key).strip()).replace("%", "_percent")
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def words(text: str) -> frozenset[str]:
    """The words of a text, for tables."""
    return frozenset(text.split())


def by_word(table: Mapping[T, str]) -> dict[str, T]:
    """A table of words for each meaning, turned round: the meaning of each word."""
    return {word: meaning for meaning, text in table.items() for word in text.split()}


def as_number(value: Any) -> float | None:
    """A finite number, also from text such as '2', ' 2.5 ' or '1,000'; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip().replace("\N{MINUS SIGN}", "-")
        if not re.fullmatch(r"[+-]?(\d{1,3}(,\d{3})+|\d{1,300})?(\.\d{0,300})?", text) or not re.search(
            r"[0-9]", text
        ):
            return None
        value = float(text.replace(",", ""))
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def tidy(number: float) -> int | float:
    """A whole number as int."""
    return int(number) if number == int(number) and abs(number) < 1e15 else number


def as_name(text: str) -> str:
    """The nearest name a definition allows ('rsi-reversal-01' is 'rsi_reversal_01'), or '' where nothing is left."""
    plain = "".join(
        char for char in unicodedata.normalize("NFKD", text[:200]) if not unicodedata.combining(char)
    )
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:60].strip("_")
    if not re.search(r"[A-Za-z]", name):
        return ""
    name = name if name[0].isalpha() else f"s_{name}"
    return f"{name}_" if keyword.iskeyword(name) or keyword.issoftkeyword(name) else name


def as_parameter_name(text: str) -> str:
    """Like `as_name`, but kept apart from prices, indicators and words of the rule language."""
    name = as_name(text).lower()
    taken = name in _PRICES or name in _WORDS or name.upper() in ALIASES
    return f"{name}_value" if taken else name


def as_version(text: str) -> str | None:
    """'1', 'v1.2' and '1.2.3' as three numbers."""
    found = _SEMVER.fullmatch(text)
    return ".".join(str(int(part or 0)) for part in found.groups()) if found else None


def as_date(text: str) -> date | None:
    """The day of an ISO date or time."""
    found = re.match(r"\d{4}-\d{2}-\d{2}(?=$|[T ])", text, re.ASCII)
    try:
        return date.fromisoformat(found.group()) if found else None
    except ValueError:
        return None
