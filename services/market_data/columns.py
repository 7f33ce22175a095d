"""Which column of a messy header is which."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

PRICES = ("Open", "High", "Low", "Close")

_DAY = ("date", "day", "dt", "tradedate", "tradingdate", "dateutc")
_TIME = (
    *_DAY,
    *("datetime", "timestamp", "time", "opentime", "bartime", "ts", "month", "unix", "unixtime", "epoch"),
    *("gmttime", "timeutc", "datetimeutc", "utctime", "localtime"),
)
_CLOCK = ("time", "clock", "hour", "timeutc")
_NAMES = {
    "Open": ("open", "o", "openprice", "priceopen", "op", "first", "openbid", "bidopen", "openmid"),
    "High": ("high", "h", "highprice", "pricehigh", "hi", "max", "highbid", "bidhigh", "highmid"),
    "Low": ("low", "l", "lowprice", "pricelow", "lo", "min", "lowbid", "bidlow", "lowmid"),
    "Close": (
        "close",
        "c",
        "closeprice",
        "priceclose",
        "cl",
        "last",
        "closelast",
        "lastprice",
        "settle",
        "closebid",
        "bidclose",
        "closemid",
    ),
    "Volume": ("volume", "vol", "v", "totalvolume", "tradedvolume", "volumetraded", "basevolume", "volumen"),
}
_SECOND_CHOICE = {
    "Close": ("price", "adjclose", "adjustedclose", "closeadj", "adjcloseprice"),
    "Volume": ("tickvol", "tickvolume", "quantity", "qty", "contracts"),
}
_SYMBOL = ("symbol", "ticker", "instrument", "name", "tic", "pair", "code", "stock")


@dataclass(frozen=True)
class Columns:
    """Positions of the columns in a row. `clock` is the second half of a time in two columns."""

    time: int
    prices: dict[str, int]
    volume: int | None
    clock: int | None
    symbol: int | None
    warnings: tuple[str, ...]
    width: int


class HeaderError(ValueError):
    """A header that names a column twice; the message says which."""


def find_columns(cells: Sequence[str]) -> Columns | None:
    """The columns of a header line, or None where it names no four prices."""
    keys = [_key(cell) for cell in cells]
    while keys and not keys[-1] and not cells[-1].strip():
        keys.pop()
    found: dict[str, int] = {}
    warnings: list[str] = []
    for role, names in _NAMES.items():
        position = _find(role, names, keys, cells)
        if position is None and role in _SECOND_CHOICE:
            position = _find(role, _SECOND_CHOICE[role], keys[1:], cells[1:])
            if position is not None:
                position += 1
                warnings.append(f"no column {role}; '{cells[position].strip()}' is read as {role}")
        if position is None and role == "Volume":
            position = next((i for i, key in enumerate(keys) if key.startswith("volume")), None)
        if position is not None:
            found[role] = position
    if not all(role in found for role in PRICES):
        return None
    time, clock = _times(keys, set(found.values()))
    if time is None:
        return None
    symbol = next((i for i, key in enumerate(keys) if key in _SYMBOL and i != time), None)
    used = {time, clock, symbol, *found.values()}
    ignored = [cells[i].strip() or f"column {i + 1}" for i, _ in enumerate(keys) if i not in used]
    if ignored:
        warnings.append("columns ignored: " + ", ".join(ignored[:10]) + (" …" if len(ignored) > 10 else ""))
    volume = found.pop("Volume", None)
    return Columns(time, found, volume, clock, symbol, tuple(warnings), len(keys))


def missing_prices(cells: Sequence[str]) -> list[str]:
    """The prices that a header line doesn't name."""
    keys = [_key(cell) for cell in cells]
    return [role for role in PRICES if not set(_NAMES[role] + _SECOND_CHOICE.get(role, ())) & set(keys)]


def _key(cell: str) -> str:
    """'<OPEN>', ' open_price ', '1. open' and 'Open (USD)' become open, openprice, open, open."""
    text = re.sub(r"\(.*?\)|^\s*\d+[.)]\s*", "", cell.strip().strip("'\"").lower())
    return re.sub(r"[\W_]+", "", text)


def _find(role: str, names: Sequence[str], keys: Sequence[str], cells: Sequence[str]) -> int | None:
    for name in names:
        positions = [i for i, key in enumerate(keys) if key == name]
        if len(positions) > 1:
            raise HeaderError(
                f"two columns mean {role}: {' and '.join(repr(cells[i].strip()) for i in positions)}"
            )
        if positions:
            return positions[0]
    return None


def _times(keys: Sequence[str], taken: set[int]) -> tuple[int | None, int | None]:
    """The time column, and the clock column where they stand apart; an unnamed first column is an index."""
    free = [i for i in range(len(keys)) if i not in taken]
    named = [i for i in free if keys[i] in _TIME]
    if not named:
        return (0, None) if free and free[0] == 0 else (None, None)
    time = named[0]
    if keys[time] in _CLOCK and len(named) > 1:  # Time,Date,… as well as Date,Time,…
        dates = [i for i in named if keys[i] in _DAY]
        if dates:
            return dates[0], time
    if keys[time] in _DAY:
        return time, next((i for i in named[1:] if keys[i] in _CLOCK), None)
    return time, None
