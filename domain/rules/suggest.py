"""The nearest thing that is understood."""

import difflib
import re
from collections.abc import Iterable

# fmt: off
WORDS = (
    "and", "or", "not", "above", "below", "crosses", "crosses above", "crosses below", "between", "at least", "at most",
    "is", "greater than", "less than", "more than", "higher than", "lower than", "equals", "times", "average",
    "moving average", "previous", "yesterday's", "signal line", "histogram", "when", "its", "the", "of", "rises above",
    "falls below", "drops below", "closes above", "closes below", "positive", "negative", "ago",
)
# fmt: on
"""Words and phrases of the language, for near misses."""

_HINTS: tuple[tuple[str, str, str], ...] = (
    (r"=(?![=<>])", "'=' doesn't compare", "=="),
    (r"===", "'===' doesn't compare", "=="),
    (r"=<|≤|⩽", "this is not a comparison", "<="),
    (r"=>|≥|⩾", "this is not a comparison", ">="),
    (r"≠|<>", "this is not a comparison", "!="),
    (r"&&?", "this doesn't join conditions", "and"),
    (r"\|\|?|\bxor\b", "this doesn't join conditions", "or"),
    (r"!(?!=)", "'!' is not understood", "not"),
    (r"\*\*|\^", "there are no powers here", "x * x"),
    (r"//|÷", "this doesn't divide", "/"),
    (r"[×⋅·]", "this doesn't multiply", "*"),
    (r"[−–—]", "this dash is not a minus sign", "-"),
    (
        r"(is )?\d[\d.]* ?(%|percent) (above|below|higher|lower)\b",
        "'is 5% above' isn't exact",
        "is more than 5% above",
    ),
    (
        r"\d[\d.]* ?(%|percent\b)",
        "a percentage has no meaning here",
        "1.05 * SMA(200), or 'is more than 5% above'",
    ),
    (r"(is |are )?(deeply |heavily )?oversold\b", "'oversold' is not defined", "RSI(14) < 30"),
    (r"(is |are )?(deeply |heavily )?overbought\b", "'overbought' is not defined", "RSI(14) > 70"),
    (r"(is |are )?(bullish|bearish)\b", "this is not defined", "Close > EMA(200), or Close < EMA(200)"),
    (r"(is |are )?(in an? )?(up|down) ?trend(ing)?\b", "this is not defined", "EMA(50) > EMA(200)"),
    (r"(while|but|then|plus|also)\b", "this doesn't join conditions", "and"),
    (
        r"(is |are )?(touches|hits|reaches|near|close to|around|approaches)\b",
        "this is not exact",
        "<=, >= or crosses above",
    ),
    (r"makes?\b", "this is not exact", "crosses above"),
    (r"(for|within)\b", "a rule looks at one bar; other bars are named one by one", "and RSI(14)[1] < 30"),
    (
        r"times\b",
        "a comparison is missing before the multiple",
        "Volume is more than 1.5 times its 20-day average",
    ),
    (r"[$€£]", "amounts are written without a currency", "50"),
    (r"['’]s\b", "this names no line", "bands.lower, or MACD signal line"),
    (r"\. (?=[A-Za-z])", "a line follows its indicator without a space", "."),
    (r"(it|they)\b", "this refers to nothing", "the name of what is meant, or 'its'"),
    (r"(true|false)\b", "a rule compares values", "Close > Open"),
    (r"(if|when|whenever|once)\b", "a rule is one condition", "conditions joined by and, or"),
    (
        r"(stop|target|take profit|trail|risk)\b",
        "this belongs in risk_limits or a rule of its own",
        "stop 2% below entry",
    ),
)


def nearest(word: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """The candidate most like `word`, case aside; '' where none is near. Deterministic."""
    by_key: dict[str, str] = {}
    for candidate in candidates:
        by_key.setdefault(candidate.lower(), candidate)
    found = difflib.get_close_matches(word.lower()[:64], list(by_key), n=1, cutoff=cutoff)
    return by_key[found[0]] if found else ""


def hint(rest: str) -> tuple[int, str, str] | None:
    """For the text from where reading stopped: how much of it is meant, what is wrong, what to write instead."""
    for pattern, message, instead in _HINTS:
        if found := re.match(pattern, rest, re.IGNORECASE):
            return found.end(), message, instead
    return None
