"""What the words of plain English stand for: openers, titles, units and phrases, as tables."""

import re
from collections.abc import Mapping
from decimal import Decimal

from domain.rules.ast import Arithmetic, Expr, Indicator, Lag, Named, Negative, Price
from domain.rules.catalogue import CATALOGUE, IndicatorSpec
from domain.rules.scope import FIELDS, Column

LISTS = ("entry_rules", "exit_rules", "short_entry_rules", "short_exit_rules")

_OPENERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"take profits?", ("exit_rules", "short_exit_rules")),
    (r"buy to cover|cover", ("short_exit_rules",)),
    (r"sell short|short", ("short_entry_rules",)),
    (r"buy long|long", ("entry_rules",)),
    (r"buy", ("entry_rules", "short_exit_rules")),
    (r"sell", ("exit_rules", "short_entry_rules")),
    (r"(enter|go|open)\b.*\blong", ("entry_rules",)),
    (r"(enter|go|open)\b.*\bshort", ("short_entry_rules",)),
    (r"(enter|go|open)", ("entry_rules", "short_entry_rules")),
    (r"(exit|close|leave)\b.*\blong", ("exit_rules",)),
    (r"(exit|close|leave)\b.*\bshort", ("short_exit_rules",)),
    (r"(exit|close|leave)", ("exit_rules", "short_exit_rules")),
)


def lists_for(opener: str) -> tuple[str, ...]:
    """The lists in which a rule with that opening ("Sell when") may stand."""
    return next(lists for pattern, lists in _OPENERS if re.match(rf"(?:{pattern})\b", opener, re.IGNORECASE))


TITLES: Mapping[str, str] = {
    "moving average": "SMA",
    "average": "SMA",
    "simple moving average": "SMA",
    "exponential moving average": "EMA",
    "weighted moving average": "WMA",
    "linearly weighted moving average": "WMA",
    "double exponential moving average": "DEMA",
    "triple exponential moving average": "TEMA",
    "average true range": "ATR",
    "average directional index": "ADX",
    "relative strength index": "RSI",
    "commodity channel index": "CCI",
    "money flow index": "MFI",
    "on balance volume": "OBV",
    "rate of change": "ROC",
    "standard deviation": "STDDEV",
    "williams r": "WILLR",
    "williamsr": "WILLR",
}


def titled(text: str) -> IndicatorSpec:
    """The indicator of a spelt-out name, such as "exponential moving average"."""
    return CATALOGUE[TITLES[" ".join(re.sub(r"[-%'’]", " ", text.lower()).split())]]


def field(text: str) -> Column:
    """The column of a field's wording: "closing price", "trading volume", "price"."""
    first = text.lower().split()[0]
    return FIELDS[{"closing": "close", "opening": "open", "trading": "volume"}.get(first, first)]


_UNITS: Mapping[str, tuple[str, int]] = {
    "minute": ("m", 1),
    "hour": ("h", 1),
    "day": ("d", 1),
    "session": ("d", 1),
    "week": ("wk", 1),
    "month": ("mo", 1),
}
_ANY_BAR = ("bar", "candle", "period")


def unit_problem(text: str, interval: str) -> str:
    """Why a number of such units is not that number of bars of `interval`; '' where it is."""
    unit = re.findall(r"minute|hour|day|session|week|month|year|bar|candle|period|yesterday", text.lower())[
        -1
    ]
    unit = "day" if unit == "yesterday" else unit
    if unit in _ANY_BAR or (unit in _UNITS and interval == "1" + _UNITS[unit][0]):
        return ""
    return f"a bar of this definition is {interval}, so '{text}' doesn't count bars"


def whole_number(text: str) -> int:
    """The number in "20-day" or "3 bars ago"."""
    return int(re.findall(r"\d+", text)[0])


_MULTIPLES = {
    "two": 2.0,
    "three": 3.0,
    "four": 4.0,
    "five": 5.0,
    "ten": 10.0,
    "twice": 2.0,
    "double": 2.0,
    "half": 0.5,
}


def factor(text: str) -> float:
    """The number in "1.5 times", "twice", "half of"."""
    number = re.match(r"[\d.]+", text)
    return float(number[0]) if number else _MULTIPLES[text.lower().split()[0]]


def share(text: str, sign: int) -> float:
    """The factor of "5% above" (sign 1: 1.05) or "5% below" (sign -1: 0.95)."""
    percent = re.match(r"[\d.]+", text)
    assert percent, text
    return float(1 + sign * Decimal(percent[0]) / 100)


_AVERAGES = ("SMA", "EMA", "WMA", "DEMA", "TEMA")
_LEVELS = (*_AVERAGES, "BBANDS", "HIGHEST", "LOWEST")


def averages(spec: IndicatorSpec) -> bool:
    return spec.name in _AVERAGES


def has_other_scale(node: Expr) -> bool:
    """Whether a value is surely not a level of price, so that "the 20-day average" beside it can't be the price's."""
    match node:
        case Price(column):
            return column == "Volume"
        case Indicator(name, _, source):
            return name != "VWAP" and (
                name not in _LEVELS or (source is not None and has_other_scale(source))
            )
        case Named(_, expr) | Lag(expr) | Negative(expr):
            return has_other_scale(expr)
        case Arithmetic(_, left, right):
            return has_other_scale(left) and has_other_scale(right)
        case _:
            return False
