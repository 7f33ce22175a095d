"""Market data: read, checked, and frozen as artifacts.

Whatever a CSV file looks like, it comes out as one canonical form, named by its digest, so that a replay
has the same bytes. What was mended is in `DataSet.warnings`; what could only be guessed is refused, as a
`DataError`.
"""

import importlib.util
import os
import re
from datetime import date
from pathlib import Path
from typing import Protocol

import pandas as pd

from schemas.code import Digest
from schemas.market import DataSet
from services.market_data.bars import make_bars
from services.market_data.canonical import from_bytes, to_bytes
from services.market_data.decode import decode
from services.market_data.errors import DataError
from services.market_data.spacing import describe_gaps, interval_of
from services.market_data.table import read_table
from services.market_data.times import read_times

__all__ = ["BUNDLED", "MAX_BYTES", "DataError", "MarketData", "read_csv"]

BUNDLED = ("GOOG", "EURUSD", "BTCUSD")
"""Shipped with backtesting.py: GOOG daily from 2004, EURUSD hourly from 2017, BTCUSD monthly from 2012."""
MAX_BYTES = 200_000_000


class Store(Protocol):
    """What market data needs of the artifact store."""

    def put(self, data: bytes) -> Digest: ...

    def get(self, digest: Digest) -> bytes: ...


class MarketData:
    """Market data by name or file, kept in the artifact store."""

    def __init__(self, artifacts: Store) -> None:
        self._artifacts = artifacts

    def load(self, source: str) -> DataSet:
        """Freeze a bundled set (GOOG, EURUSD, BTCUSD, any case) or a CSV file; a file GOOG is `./GOOG`."""
        if (name := source.strip().upper()) in BUNDLED:
            bars, warnings = read_csv(_read(_bundled(name), name), name)
        else:
            name = Path(source).name
            bars, warnings = read_csv(_read(source, source), source)
        return self._freeze(bars, name, warnings)

    def frozen(self, digest: Digest, name: str) -> DataSet:
        """A set that was frozen before, with what its bars tell; how its file was mended is known no more."""
        bars = self.bars(digest)
        return self._freeze(bars, name, describe_gaps(pd.DatetimeIndex(bars.index)))

    def bars(self, digest: Digest) -> pd.DataFrame:
        """The bars of a frozen set: UTC index `Date`, float columns Open, High, Low, Close, Volume."""
        return from_bytes(self._artifacts.get(digest))

    def clip(self, dataset: DataSet, start: date | None, end: date | None, period: str = "max") -> DataSet:
        """The bars from `start` to the end of the day `end` (UTC), and of those the last `period`.

        A period counts back from the last bar, in calendar units, never from today: `5y`, `6mo`, `2wk`,
        `30d`, `ytd` (from January of the last bar's year), `max`.
        """
        bars = self.bars(dataset.digest)
        kept = bars
        if start:
            kept = kept[kept.index >= pd.Timestamp(start, tz="UTC")]
        if end:
            kept = kept[kept.index < pd.Timestamp(end, tz="UTC") + pd.Timedelta(days=1)]
        if len(kept) and (before := _before(pd.DatetimeIndex(kept.index)[-1], period)) is not None:
            kept = kept[kept.index > before]
        if not len(kept):
            wanted = f"{start or 'the beginning'} to {end or 'the end'}"
            raise DataError(
                dataset.name,
                f"no bars from {wanted}",
                expected=f"a span within {dataset.start} to {dataset.end}",
            )
        if len(kept) == len(bars):
            return dataset
        note = f"clipped to {len(kept):,} of {len(bars):,} bars"
        return self._freeze(kept, dataset.name, [*_about(dataset, bars, kept), note])

    def hold_back(self, dataset: DataSet, bars: int) -> DataSet:
        """The data without its last `bars`, which must be fewer than all; what is said of it knows nothing of them."""
        whole = self.bars(dataset.digest)
        kept = whole.iloc[: len(whole) - bars]
        return self._freeze(kept, dataset.name, _about(dataset, whole, kept))

    def _freeze(self, bars: pd.DataFrame, name: str, warnings: list[str]) -> DataSet:
        data = to_bytes(bars)
        index = pd.DatetimeIndex(bars.index)
        first, last = index[0], index[-1]
        return DataSet(
            digest=self._artifacts.put(data),
            name=name,
            bars=len(bars),
            start=first.tz_localize(None).isoformat() + "Z",
            end=last.tz_localize(None).isoformat() + "Z",
            interval=interval_of(index),
            warnings=warnings,
        )


def read_csv(raw: bytes, source: str) -> tuple[pd.DataFrame, list[str]]:
    """Bars (as `MarketData.bars`) and warnings from the bytes of a CSV file; `source` names it in errors."""
    text, warnings = decode(raw, source)
    table = read_table(text, source)
    times, about_times = read_times(table.times, table.lines, source)
    bars, about_bars = make_bars(table, times, source)
    gaps = describe_gaps(pd.DatetimeIndex(bars.index))
    return bars, [*warnings, *table.warnings, *about_times, *about_bars, *gaps]


def _bundled(name: str) -> Path:
    """Found without importing backtesting, which would import bokeh."""
    spec = importlib.util.find_spec("backtesting")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "test" / f"{name}.csv"


def _read(place: str | Path, source: str) -> bytes:
    known = f"one of {', '.join(BUNDLED)}, or the path of an OHLCV CSV file"
    try:
        path = Path(os.path.expanduser(place))  # pathlib's own raises for an unknown user
        if path.is_dir():
            raise DataError(source, "this is a folder", expected=known)
        if not path.exists():
            raise DataError(source, "no such data", expected=known)
        if not path.is_file():
            raise DataError(source, "this is no regular file", expected=known)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            source, f"can't be read ({error.__class__.__name__}: {error})", expected=known
        ) from error
    if len(raw) > MAX_BYTES:
        raise DataError(
            source,
            f"more than {MAX_BYTES // 1_000_000} MB",
            expected="a smaller file; use longer bars or fewer years",
        )
    return raw


def _about(dataset: DataSet, whole: pd.DataFrame, kept: pd.DataFrame) -> list[str]:
    """What is said of the file, and of the gaps that are left in what is kept of it."""
    gone = describe_gaps(pd.DatetimeIndex(whole.index))
    about_file = [warning for warning in dataset.warnings if warning not in gone]
    return [*about_file, *describe_gaps(pd.DatetimeIndex(kept.index))]


def _before(last: pd.Timestamp, period: str) -> pd.Timestamp | None:
    """The moment after which bars belong to the period that ends with `last`; None where all of them do."""
    if period == "max":
        return None
    if period == "ytd":
        return pd.Timestamp(year=last.year, month=1, day=1, tz="UTC") - pd.Timedelta(microseconds=1)
    found = re.fullmatch(r"(\d+)(d|wk|mo|y)", period)
    if not found:
        raise ValueError(
            f"'{period}' is not a period; allowed are max, ytd, or a number with d, wk, mo or y (5y)"
        )
    count = int(found[1])
    offset = {
        "d": pd.DateOffset(days=count),
        "wk": pd.DateOffset(weeks=count),
        "mo": pd.DateOffset(months=count),
        "y": pd.DateOffset(years=count),
    }[found[2]]
    try:
        return last - offset
    except (ValueError, OverflowError):  # before the calendar begins
        return None
