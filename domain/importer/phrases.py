"""Stops, targets, sizes and other limits as phrases state them."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from domain.importer.readings import Context, LimitSaid, Side, Slot
from domain.importer.scalars import words
from domain.rules.errors import RuleError
from domain.rules.risk import MAX_LENGTH, parse_risk_phrase, pip_size
from schemas.definition import Distance, PositionSizing

STANDARD_LOT = 100_000
"""Units of the base currency in one lot of a currency pair."""

Refusal = tuple[str, str]
"""Why a limit is not understood, and the nearest thing that is."""

TITLES: Mapping[Slot, str] = {
    "stop_loss": "stop loss",
    "take_profit": "take profit",
    "trailing_stop": "trailing stop",
    "max_holding_bars": "longest holding",
    "max_position": "largest position",
    "sizing": "position size",
}
_ABOUT_A_LIMIT = re.compile(
    r"\b(?:stop(?:s|ped)?|stop-?loss(?:es)?|sl|tp|take[ -]?profits?|targets?|trail(?:ing|ed)?|risk(?:ing)?"
    r"|position siz\w*|lots?|lot[ -]sizes?|pips?|sizes?|holding|break-?even)\b",
    re.IGNORECASE,
)
_MAYBE = re.compile(r"\b(?:hold|bars?|max|invest|allocat|equity|capital|account|portfolio)", re.IGNORECASE)
_LEAD = re.compile(
    r"(?:(?:please|we|i|you|it|always|should|will|must|want to|would like to|with|use|using|set|setting|place|put"
    r"|have|add|apply|keep|and|then|plus|also|to)\s+)*"
    r"(?:(?:an?|the|my|your|our|its|initial|fixed|hard|tight|protective)\s+)*",
    re.IGNORECASE,
)
_LOT_PHRASE = words("lot lots size position of standard trade per is a with each")
_LOTS = re.compile(
    r"(?P<before>[a-z :=-]*?)\s*(?P<count>\d{1,6}(?:\.\d{1,6})?)\s*(?P<after>[a-z ]*)", re.IGNORECASE
)
_UNITS_WORDS = re.compile(
    r"(?P<count>\d{1,3}(?:,\d{3})+|\d{1,12})\s*(?:shares?|units?|contracts?|stocks?|coins?)\b(?:\s+of\b)?",
    re.IGNORECASE,
)
_LOT_WORDS = re.compile(
    r"(?P<count>\d{1,6}(?:\.\d{1,6})?)\s*(?:standard\s+)?lots?\b(?:\s+of\b)?", re.IGNORECASE
)
_EQUITY_WORDS = re.compile(
    r"(?P<count>\d{1,3}(?:\.\d{1,6})?)\s*(?:%|percent)(?:\s+of)?(?:\s+(?:the|my|your|our|total|available))*"
    r"\s+(?:equity|capital|account|portfolio|balance|funds|cash)\b",
    re.IGNORECASE,
)
_CASH_WORDS = re.compile(
    r"\$\s?(?P<count>\d{1,3}(?:,\d{3})+|\d{1,12}(?:\.\d{1,2})?)(?:\s+worth)?(?:\s+of\b)?", re.IGNORECASE
)


def read_limit(text: str, context: Context) -> LimitSaid | Refusal | None:
    """The limit that a phrase states; a refusal where it is about one but isn't understood; None where it isn't."""
    about = bool(_ABOUT_A_LIMIT.search(text))
    if not about and not _MAYBE.search(text):
        return None
    if len(text) > MAX_LENGTH:
        return (f"longer than {MAX_LENGTH} characters; a limit is one short phrase", "") if about else None
    lead = _LEAD.match(text)
    stripped = text[lead.end() :] if lead else text
    if re.search(r"\blots?\b", text, re.IGNORECASE):
        return _lots(stripped, context.symbol)
    first: RuleError | None = None
    for candidate in dict.fromkeys((text, stripped, re.sub(r"\s*[:=]\s*", " ", stripped))):
        try:
            phrase = parse_risk_phrase(candidate, pip=pip_size(context.symbol), interval=context.interval)
        except RuleError as error:
            first = first or error
        else:
            return said(phrase.kind, phrase.value, phrase.side)
    unsized = re.sub(r"^(?:position\s+)?siz(?:e|ing)\s*(?:is|of|=|:)?\s*", "", stripped, flags=re.IGNORECASE)
    if unsized != stripped and (size := read_size_words(unsized, context.symbol)):
        limit, rest = size
        if re.fullmatch(r"(?:\s*(?:per|each|a|every|trade|position))*\s*", rest):
            return limit
    if first is None or not about:
        return None
    if "pip" in text.lower() and pip_size(context.symbol) is None:
        return pips("stop_loss", 1, context.symbol)
    return first.message, first.suggestion


def said(slot: Slot, value: Any, side: Side | None = None) -> LimitSaid:
    """A limit in canonical form."""
    if isinstance(value, BaseModel):
        plain = value.model_dump(mode="json")
        if isinstance(value, Distance) and plain["kind"] != "atr":
            plain.pop("period")
        shown = str(value) if isinstance(value, Distance) else f"{plain['value']:g} {plain['mode']}"
        return LimitSaid(slot, plain, shown, side)
    return LimitSaid(slot, value, f"{value:g}" if isinstance(value, float) else str(value), side)


def distance(slot: Slot, kind: str, value: float, period: int = 14) -> LimitSaid | Refusal:
    try:
        return said(slot, Distance.model_validate({"kind": kind, "value": value, "period": period}))
    except ValidationError as error:
        return f"{TITLES[slot]}: {error.errors()[0]['msg'].lower()}, found {value:g}", "a number above 0"


def sizing(mode: str, value: float) -> LimitSaid | Refusal:
    try:
        return said("sizing", PositionSizing.model_validate({"mode": mode, "value": value}))
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, "), ""


def pips(slot: Slot, count: float, symbol: str) -> LimitSaid | Refusal:
    """A distance in pips, for pairs of currencies."""
    size = pip_size(symbol)
    if size is None:
        return (
            f"{_unknown('pip', symbol)} (known are pairs of currencies: 0.0001, with the yen 0.01)",
            f"{TITLES[slot]} as a price distance, for example 'distance 0.0015'",
        )
    return distance(slot, "distance", float(f"{count * size:.12g}"))


def _unknown(what: str, symbol: str) -> str:
    if symbol:
        return f"the size of a {what} of {symbol} is not fixed"
    return f"no instrument is named, so the size of a {what} is not known"


def lots(count: float, symbol: str) -> LimitSaid | Refusal:
    if pip_size(symbol) is None:
        return (
            f"{_unknown('lot', symbol)} (known are pairs of currencies: {STANDARD_LOT:,} units)",
            "100 units",
        )
    return sizing("fixed_units", float(f"{count * STANDARD_LOT:.12g}"))


def _lots(text: str, symbol: str) -> LimitSaid | Refusal:
    found = _LOTS.fullmatch(text)
    said_words = re.split(r"[\s:=-]+", f"{found['before']} {found['after']}".lower().strip()) if found else []
    if found is None or not set(said_words) <= _LOT_PHRASE:
        return "the phrase with lots is not understood as a whole", "lot size of 0.1"
    return lots(float(found["count"]), symbol)


def read_size_words(text: str, symbol: str) -> tuple[LimitSaid, str] | None:
    """A size such as '100 shares', '0.1 lots', '10% of equity' or '$5,000', and the text without it."""
    for pattern, mode in (
        (_UNITS_WORDS, "fixed_units"),
        (_EQUITY_WORDS, "percent_of_equity"),
        (_CASH_WORDS, "fixed_cash"),
        (_LOT_WORDS, "lots"),
    ):
        if found := pattern.search(text):
            count = float(found["count"].replace(",", ""))
            limit = lots(count, symbol) if mode == "lots" else sizing(mode, count)
            if isinstance(limit, LimitSaid):
                return limit, text[: found.start()] + " " + text[found.end() :]
    return None
