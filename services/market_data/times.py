"""Texts to UTC times. The form of a date is decided over the whole column, or not at all."""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from services.market_data.errors import DataError, quote

_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y",
    "%Y%m%d", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%B-%Y", "%d/%b/%Y", "%d%b%Y", "%b %d, %Y", "%B %d, %Y",
    "%b %d %Y", "%B %d %Y", "%Y-%b-%d", "%Y %b %d", "%a, %d %b %Y", "%a %d %b %Y", "%a %b %d %Y",
)  # fmt: skip
"""A date with points is day first, as everywhere it is used; one with strokes or dashes may be either."""
_CLOCKS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%H%M%S", "%H%M")
_RUNS = ("%Y%m%d%H%M%S", "%Y%m%d%H%M")
_SWAPPED = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y", "%m/%d/%Y": "%d/%m/%Y", "%m-%d-%Y": "%d-%m-%Y"}
_ZONE = re.compile(r"(?:(?<=\d)|\s+)(Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}:?\d{2}|[+-]\d{2})$", re.IGNORECASE)
_ZONE_NAME = re.compile(r"\d\s*([A-Z]{2,4}|[A-Z][a-z]+/\w+)$")
_NUMBER = re.compile(r"\d+(\.0*)?(e\+?\d+)?", re.IGNORECASE)
_EPOCH_UNITS: tuple[tuple[float, Literal["s", "ms", "us", "ns"]], ...] = (
    (1e11, "s"),
    (1e14, "ms"),
    (1e17, "us"),
    (1e20, "ns"),
)
_EXPECTED = "dates such as 2020-01-31, or times such as 2020-01-31T15:30:00Z"


def read_times(
    texts: Sequence[str], lines: npt.NDArray[np.int64], source: str
) -> tuple[pd.DatetimeIndex, list[str]]:
    """UTC times of a column, and warnings. `lines` are the file's line numbers."""
    column = pd.Series(texts, dtype=object).str.strip()
    if empty := [int(lines[i]) for i in np.flatnonzero((column == "").to_numpy())]:
        raise DataError(source, "the time is missing", expected=_EXPECTED, lines=empty)
    if _NUMBER.fullmatch(column.iloc[0]) and column.map(_NUMBER.fullmatch).notna().all():
        return _from_numbers(column, lines, source)
    if (plain := _plain_iso(column)) is not None:
        return plain
    if wordy := np.flatnonzero(
        ~column.str.contains(r"\d")
    ).tolist():  # pandas reads 'now' and 'today' as times
        raise DataError(
            source,
            "the time is not understood",
            found=quote(column.iloc[wordy[0]]),
            expected=_EXPECTED,
            lines=_at(lines, wordy),
        )
    column = column.str.replace(r"\s+", " ", regex=True)
    zoned = column.map(_ends_in_zone)
    if zoned.any() and not zoned.all():
        odd = int(np.flatnonzero(zoned.to_numpy() != bool(zoned.iloc[0]))[0])
        raise DataError(
            source,
            "some times have a zone and some have none",
            found=f"{quote(column.iloc[0])} and {quote(column.iloc[odd])}",
            expected="one way throughout, best with a zone such as Z",
            lines=[int(lines[0]), int(lines[odd])],
        )
    if zoned.all():
        column = column.map(_numeric_zone)
        return _zoned(_parse(column, lines, source, zoned=True), column)
    times = _parse(column, lines, source, zoned=False)
    return times, _about_zone(times)


def _plain_iso(column: "pd.Series[str]") -> tuple[pd.DatetimeIndex, list[str]] | None:
    """The way of most files, and the quickest: ISO 8601 without zones, or all with Z."""
    if int(column.str.len().min()) < len(
        "20200131"
    ):  # shorter are 'now' and 'today', which pandas reads as times
        return None
    zulu = column.str.endswith("Z")
    if zulu.any() and not zulu.all():
        return None
    try:
        times = pd.DatetimeIndex(pd.to_datetime(column, format="ISO8601", utc=bool(zulu.all())))
    except (ValueError, TypeError):
        return None
    if zulu.all():
        return times, []
    if times.tz is not None:
        return None
    times = times.tz_localize("UTC")
    return times, _about_zone(times)


def _about_zone(times: pd.DatetimeIndex) -> list[str]:
    return (
        ["the times have no zone; they are taken as UTC"] if bool((times != times.normalize()).any()) else []
    )


def _ends_in_zone(text: str) -> bool:
    found = _ZONE.search(text)
    return found is not None and (found[1][0] not in "+-" or ":" in text[: found.start()])


def _numeric_zone(text: str) -> str:
    """'… UTC', '…Z', '…GMT+01:00', '… -05' all end in ±hh:mm."""
    found = _ZONE.search(text)
    assert found is not None
    offset = re.sub(r"^(UTC|GMT)", "", found[1].upper()).replace(":", "").replace("Z", "") or "+0000"
    return text[: found.start()] + f"{offset[:3]}:{offset[3:] or '00'}"


def _zoned(times: pd.DatetimeIndex, column: "pd.Series[str]") -> tuple[pd.DatetimeIndex, list[str]]:
    """Bars that begin at midnight of their own zone are days: they keep their date."""
    seconds = column.str[-6:].map(_offset)
    offsets = pd.to_timedelta(seconds.to_numpy(), unit="s")
    local = times + offsets
    if bool((offsets != pd.Timedelta(0)).any()) and bool((local == local.normalize()).all()):
        return local, ["every bar begins at midnight of its own zone; its date is kept, as 00:00 UTC"]
    return times, []


def _offset(zone: str) -> int:
    sign = -1 if zone[0] == "-" else 1
    return sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)


def _parse(
    column: "pd.Series[str]", lines: npt.NDArray[np.int64], source: str, *, zoned: bool
) -> pd.DatetimeIndex:
    """By ISO 8601, else by the one known form that reads every row."""
    times = _attempt(column, "ISO8601")
    if not times.hasnans:
        return times
    forms = _forms(column.iloc[0], zoned)
    readings = {form: _attempt(column, form) for form in forms}
    whole = {form: times for form, times in readings.items() if not times.hasnans}
    if not whole:
        raise _unread(column, lines, source, readings)
    times, *others = whole.values()
    for otherwise in others:
        if differing := np.flatnonzero(times != otherwise).tolist():
            first = differing[0]
            raise DataError(
                source,
                "the order of day and month can't be told: no date in the file has a day after the 12th",
                found=f"{quote(column.iloc[first])}, which may be {times[first]:%d %B %Y} "
                f"or {otherwise[first]:%d %B %Y}",
                expected="dates written as year-month-day, for example 2020-01-31",
                lines=[int(lines[first])],
            )
    return times


def _attempt(column: "pd.Series[str]", form: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(column, format=form, utc=True, errors="coerce"))


def _forms(text: str, zoned: bool) -> list[str]:
    """The known forms that read this text."""
    zone = "%z" if zoned else ""
    forms = [
        f"{date}{gap}{clock}{zone}"
        for date in _DATES
        for clock in _CLOCKS
        for gap in ((" ", "T") if clock else ("",))
    ]
    one = pd.Series([text], dtype=object)
    return [form for form in (*forms, *(run + zone for run in _RUNS)) if not _attempt(one, form).hasnans]


def _unread(
    column: "pd.Series[str]",
    lines: npt.NDArray[np.int64],
    source: str,
    readings: dict[str, pd.DatetimeIndex],
) -> DataError:
    """Why no form reads the whole column."""
    for form, reading in readings.items():
        if (date := form[:8]) in _SWAPPED:
            otherwise = _attempt(column, form.replace(date, _SWAPPED[date]))
            bad = [int(np.flatnonzero(times.isna())[0]) for times in (reading, otherwise)]
            if not np.logical_and(reading.isna(), otherwise.isna()).any():
                return DataError(
                    source,
                    "some dates can only be day first and others only month first",
                    found=" and ".join(quote(column.iloc[i]) for i in sorted(bad)),
                    expected="one order throughout, best year-month-day, for example 2020-01-31",
                    lines=[int(lines[i]) for i in sorted(bad)],
                )
    iso = _attempt(column, "ISO8601")
    best = min([*readings.values(), iso], key=lambda times: int(np.count_nonzero(times.isna())))
    bad_rows = np.flatnonzero(best.isna())
    first = column.iloc[int(bad_rows[0])]
    expected = _EXPECTED
    if len(bad_rows) < len(column):
        good = column.iloc[int(np.flatnonzero(best.notna())[0])]
        expected = f"a time such as {quote(good)}, as in other lines"
    elif _ZONE_NAME.search(first):
        expected = "a zone as an offset such as -05:00 or Z; names of zones are ambiguous"
    elif re.match(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2}(\D|$)", first):
        expected = "a year of four digits, for example 2020-01-31"
    return DataError(
        source,
        "the time is not understood",
        found=quote(first),
        expected=expected,
        lines=_at(lines, bad_rows),
    )


def _from_numbers(
    column: "pd.Series[str]", lines: npt.NDArray[np.int64], source: str
) -> tuple[pd.DatetimeIndex, list[str]]:
    """20200131, 202001311530, or seconds, milli-, micro- or nanoseconds since 1970."""
    lengths = column.str.len()
    digits = int(lengths.iloc[0])
    if bool((lengths == digits).all()) and digits in (8, 12, 14):
        times = _attempt(column, {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[digits])
        if not times.hasnans and times.year.min() >= 1800 and times.year.max() <= 2200:
            return times, _about_zone(times)
    numbers = column.astype(float).to_numpy()
    if small := np.flatnonzero(numbers < 1e8).tolist():
        raise DataError(
            source,
            "the time column holds plain numbers",
            found=quote(column.iloc[small[0]]),
            expected=f"{_EXPECTED}, or seconds or milliseconds since 1970",
            lines=_at(lines, small),
        )
    tops = np.searchsorted([top for top, _ in _EPOCH_UNITS], numbers, side="right")
    if (odd := np.flatnonzero(tops != tops[0]).tolist()) or tops[0] == len(_EPOCH_UNITS):
        raise DataError(
            source,
            "the times are epoch numbers of different units" if odd else "the time is too large a number",
            found=quote(column.iloc[odd[0] if odd else 0]),
            expected=f"one unit throughout, as in {quote(column.iloc[0])}" if odd else "seconds since 1970",
            lines=_at(lines, odd or [0]),
        )
    whole = np.array([int(text) if text.isdigit() else int(float(text)) for text in column], dtype=np.int64)
    return pd.DatetimeIndex(pd.to_datetime(whole, unit=_EPOCH_UNITS[tops[0]][1], utc=True)), []


def _at(lines: npt.NDArray[np.int64], rows: Sequence[int] | npt.NDArray[np.intp]) -> list[int]:
    return [int(lines[row]) for row in rows]
