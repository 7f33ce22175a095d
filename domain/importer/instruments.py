"""Instruments and bar lengths."""

import re

from domain.importer.scalars import by_word, words
from domain.rules.catalogue import ALIASES
from domain.rules.risk import pip_size
from schemas.definition import INTERVALS

DEFAULT_SYMBOL = "GOOG"
_TICKER = re.compile(r"[\^$]?[A-Z0-9]{1,10}(?:[.=-][A-Z0-9]{1,8})?", re.ASCII)
_PAIR = re.compile(r"([A-Z]{3,5})\s*[/_-]\s*([A-Z]{3,4})", re.ASCII)
_NO_TICKER = words("""
    ANY ALL NONE NULL NA N TBD UNKNOWN VARIOUS MULTIPLE OTHER STOCK STOCKS EQUITY EQUITIES FOREX FX
    CRYPTO FUTURES OPTIONS ETF ETFS INDEX INDICES COMMODITIES BONDS SHARES THE A AN IT THIS MARKET
    ASSET ASSETS INSTRUMENT PRICE OPEN HIGH LOW CLOSE VOLUME MA MOVING AVERAGE SIGNAL BANDS BOLLINGER
    LONG SHORT BUY SELL WHEN IF AT ON ONCE POSITION TRADE STOP SL TP DI VWMA HMA ICHIMOKU SAR
    SUPERTREND FIB FIBONACCI PIVOT KELTNER DONCHIAN ENTRY EXIT AND OR MORE ONLY AGAIN BACK
    """)
_UNIT_OF = by_word(
    {
        "m": "m min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "d day days",
        "wk": "w wk week weeks",
        "mo": "mo mon month months",
    }
)
_WORD_INTERVALS = {
    "hourly": "1h",
    "daily": "1d",
    "weekly": "1wk",
    "monthly": "1mo",
    "end of day": "1d",
    "eod": "1d",
}


def as_symbol(text: str) -> str | None:
    """The symbol of an instrument: 'EUR/USD' is EURUSD, '$aapl' AAPL; None for indicators, classes and prose."""
    name = text.strip().strip("\"'`.,;:()").upper()
    if is_indicator(name) or name in _NO_TICKER:
        return None
    if pair := _PAIR.fullmatch(name):
        joined = pair[1] + pair[2]
        return joined if "/" in name or pip_size(joined) else f"{pair[1]}-{pair[2]}"
    if not _TICKER.fullmatch(name) or not re.search(r"[A-Z]", name):
        return None
    return name.removeprefix("$") or None


def is_indicator(text: str) -> bool:
    """Older documents often name an indicator where an instrument should stand."""
    return re.sub(r"[^A-Z_]", "", text.upper()) in ALIASES


def as_interval(text: str) -> tuple[str | None, str]:
    """The bar length, or None with what was meant: ('1h', '1h') for '1-hour', 'H1', '60 min'; (None, '3h')."""
    plain = re.sub(r"[\s_-]+", " ", text.strip().lower())
    if plain in _WORD_INTERVALS:
        return _WORD_INTERVALS[plain], _WORD_INTERVALS[plain]
    found = re.fullmatch(r"(\d{1,4}) ?([a-z]+)", plain, re.ASCII)
    if found and found[2] in _UNIT_OF:
        count, unit = int(found[1]), _UNIT_OF[found[2]]
    elif short := re.fullmatch(r"(mn|m|h|d|w)(\d{1,3})", plain, re.ASCII):
        count, unit = int(short[2]), {"mn": "mo", "w": "wk"}.get(short[1], short[1])
    else:
        return None, ""
    meant = {("m", 60): "1h", ("m", 120): "2h", ("m", 240): "4h", ("h", 24): "1d", ("d", 7): "1wk"}.get(
        (unit, count), f"{count}{unit}"
    )
    return (meant if meant in INTERVALS else None), meant
