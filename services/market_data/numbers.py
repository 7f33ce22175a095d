"""Texts to numbers: decimal point or comma, thousands separators, signs of money, K/M/B on volumes."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Style = Literal["point", "comma"]

MISSING = frozenset(
    {"", "-", "--", ".", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "nil", "?", "<na>"}
)
_MAGNITUDES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_SEPARATORS = str.maketrans("", "", " \u00a0\u2009\u202f'’_")
_MONEY = re.compile(
    r"^([+-]?)\s*(?:[$€£¥₹]|usd|eur|gbp|jpy)?\s*(.*?)\s*(?:[$€£¥₹]|usd|eur|gbp|jpy)?$", re.IGNORECASE
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_INFINITE = frozenset({"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})


def plain(texts: Sequence[str]) -> Floats | None:
    """All of them by Python's own reading, or None where one isn't so plain."""
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return None


def style_of(texts: Iterable[str]) -> tuple[Style | None, str | None, str | None]:
    """The decimal sign, from all texts together, and a witness each for point and comma.

    None where nothing decides: there are texts such as `1,234`, and none that tells their meaning.
    None with two witnesses: they contradict each other.
    """
    point = comma = doubtful = None
    for text in texts:
        bare = text.strip().lstrip("+-$€£¥₹ ").translate(_SEPARATORS)
        if "," not in bare and "." not in bare:
            continue
        sign = _decimal_sign(bare)
        if sign == ".":
            point = point or text
        elif sign == ",":
            comma = comma or text
        elif sign is None and "," in bare:
            doubtful = doubtful or text
    if point and comma:
        return None, point, comma
    if comma:
        return "comma", None, comma
    if doubtful and not point:
        return None, None, None
    return "point", point, None


def _decimal_sign(bare: str) -> str | None:
    """'.' or ',' where this text alone shows it, None for such as `1,234` and `1.234`, '' for nonsense."""
    last_point, last_comma = bare.rfind("."), bare.rfind(",")
    if last_point >= 0 and last_comma >= 0:
        return "." if last_point > last_comma else ","
    sign, other = (".", ",") if last_point >= 0 else (",", ".")
    if bare.count(sign) > 1:  # 1,234,567: groups, so the other one is decimal; 1.2.3 is nothing
        return other if re.fullmatch(rf"\d{{1,3}}(\{sign}\d{{2,3}})+\w?", bare) else ""
    whole, _, part = bare.partition(sign)
    digits = re.match(r"\d*", part)
    grouped = digits is not None and len(digits[0]) == 3 and 1 <= len(whole) <= 3 and whole[0] in "123456789"
    return None if grouped else sign


def parse(text: str, style: Style) -> float | None:
    """The number; NaN for a missing one; None for what is no number."""
    bare = text.strip()
    if bare.lower() in MISSING:
        return float("nan")
    if bare.lower() in _INFINITE:
        return float(bare)
    money = _MONEY.match(bare)
    bare = money[1] + money[2] if money else bare
    scale = _MAGNITUDES.get(bare[-1:].lower(), 1.0)
    if scale != 1.0:
        bare = bare[:-1]
    bare = bare.translate(_SEPARATORS)
    group, decimal = (",", ".") if style == "point" else (".", ",")
    whole, sign, part = bare.partition(decimal)
    if group in part or (group in whole and not re.fullmatch(rf"[+-]?\d{{1,3}}(\{group}\d{{2,3}})*", whole)):
        return None
    number = whole.replace(group, "") + ("." if sign else "") + part
    return float(number) * scale if _NUMBER.fullmatch(number) else None
