"""Numbers to places: ticks, thinning, and texts for numbers."""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high, about so many."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low] if math.isfinite(low) else []
    raw = span / about
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def time_ticks(index: pd.DatetimeIndex, most: int = 9) -> list[tuple[int, str]]:
    """Bars at which a new year, month, day or hour begins, with its name: the finest that are not too many."""
    years = index.year.to_numpy()
    months = years * 12 + index.month.to_numpy()
    days = index.normalize().asi8
    hours = index.floor("h").asi8
    for keys, form in ((hours, "%H:%M"), (days, "%-d %b"), (months, "%b %Y"), (years, "%Y")):
        places = (np.flatnonzero(np.diff(keys)) + 1).tolist()
        if 2 <= len(places) <= most:
            return [(place, index[place].strftime(form)) for place in places]
    places = (np.flatnonzero(np.diff(years)) + 1).tolist()
    if len(places) > most:
        places = places[:: math.ceil(len(places) / most)]
        return [(place, str(years[place])) for place in places]
    spread = np.unique(np.linspace(0, len(index) - 1, min(5, len(index))).astype(int)).tolist()
    form = "%-d %b %Y" if bool((index == index.normalize()).all()) else "%-d %b %H:%M"
    return [(place, index[place].strftime(form)) for place in spread]


def thin(values: Floats, most: int = 2000) -> list[int]:
    """The places of at most so many values that draw the same line: first, lowest, highest, last of each bucket."""
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite) <= most:
        return [int(place) for place in finite]
    chosen: set[int] = set()
    for bucket in np.array_split(finite, most // 4):
        part = values[bucket]
        chosen |= {int(bucket[0]), int(bucket[part.argmin()]), int(bucket[part.argmax()]), int(bucket[-1])}
    return sorted(chosen)


def short(value: float) -> str:
    """A tick's text: 1.2k, 3.5M, 0.0012."""
    size = abs(value)
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            scaled = value / (1e3 if unit == "k" else limit)
            return f"{scaled:.4g}{unit}"
    return f"{value:.6g}"


def number(value: float | int | None, digits: int = 2) -> str:
    """1234.5 as '1,234.50'; None, NaN and infinities as '–' and '∞'."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float) and math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"
    return text.replace("-", "−")


def percent(value: float | None, *, sign: bool = False) -> str:
    text = number(value)
    if text in ("–", "∞", "−∞"):
        return text
    plus = "+" if sign and value is not None and value > 0 else ""
    return f"{plus}{text} %"


def quantity(value: float) -> str:
    """A size without needless zeros: 1,204, 0.25."""
    return f"{value:,.6f}".rstrip("0").rstrip(".") if math.isfinite(value) else number(value)


def moment(text: str) -> str:
    """'2004-08-19T00:00:00Z' as '2004-08-19', and with its clock where it isn't midnight; other texts as they are."""
    date, _, clock = text.partition("T")
    clock = clock.removesuffix("Z").removesuffix("+00:00")
    return f"{date} {clock.removesuffix(':00')}" if clock.strip("0:.") else date


def price(value: float) -> str:
    """As many digits as a price needs: 1.07219, 564.21, 43,120.5."""
    if not math.isfinite(value):
        return number(value)
    size = abs(value)
    digits = 5 if size < 10 else 3 if size < 100 else 2
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits == 5 else text
