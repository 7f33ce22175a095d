"""A run on the first bars beside the run on all of them."""

import base64
import binascii
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.book import Book, Orders, read_book
from domain.scoring import ClaimError, read_claims
from schemas.sandbox import TrialError, TrialResult
from schemas.trading import Costs, Trade

Values = npt.NDArray[np.float64]

_RELATIVE, _OF_LARGEST = 1e-6, 1e-9
"""Values nearer than this (of themselves; of the largest) differ by rounding: sums in another order."""

MOST_INDICATORS = 200


@dataclass(frozen=True)
class Indicator:
    name: str
    rows: Values
    """Shape (rows, bars)."""


@dataclass(frozen=True)
class Seen:
    """What one run on `length` bars showed. Nothing but `error` where it failed."""

    length: int
    book: Book
    closed: Sequence[Trade] = ()
    open: Sequence[Trade] = ()
    """Their exit is the last bar at its close; without meaning."""
    indicators: Sequence[Indicator] = ()
    error: TrialError | None = None


def read_seen(result: TrialResult, bars: pd.DataFrame, costs: Costs) -> Seen:
    """A trial on `bars` as the comparison wants it. Raises ClaimError where what it claims can't be."""
    length = len(bars)
    if result.error is not None:
        return Seen(length, Book({}), error=result.error)
    closed = read_claims(result.trades or [], bars, costs)
    last = {"exit_bar": length - 1, "exit_price": float(bars["Close"].iloc[-1])}
    still_open = [trade | last if isinstance(trade, dict) else trade for trade in result.open]
    both = read_claims([*(trade.model_dump(mode="json") for trade in closed), *still_open], bars, costs)
    return Seen(
        length,
        read_book(result.book, length),
        closed,
        both[len(closed) :],
        list(_indicators(result.indicators, length)),
    )


def _indicators(raw: Sequence[object], length: int) -> Iterator[Indicator]:
    if len(raw) > MOST_INDICATORS:
        raise ClaimError(f"{len(raw)} indicators are reported; at most {MOST_INDICATORS} are read")
    for item in raw:
        if not isinstance(item, dict):
            raise ClaimError("an indicator is reported as something that is none")
        name, rows, text = item.get("name"), item.get("rows"), item.get("values")
        try:
            values = np.frombuffer(base64.b64decode(str(text), validate=True), dtype="<f8")
        except (binascii.Error, ValueError):
            raise ClaimError("an indicator's values can't be read") from None
        if not isinstance(name, str) or not isinstance(rows, int) or not 0 < rows <= 1000:
            raise ClaimError("an indicator is reported without a name or a shape")
        if values.size != rows * length:
            raise ClaimError(
                f"an indicator has {values.size} values; expected {rows} for each of {length} bars"
            )
        label = name[:100] if name.isprintable() else ascii(name[:100])
        yield Indicator(label, values.reshape(rows, length))


@dataclass(frozen=True)
class Peek:
    """One decision or value that the future changed."""

    bar: int
    text: str
    indicator: str | None = None


def compare(prefix: Seen, whole: Seen, bars: pd.DataFrame) -> list[Peek] | None:
    """What was decided or computed on the first bars otherwise than on all of them; empty where nothing was.

    Indicators first, each at its first bar that differs, then decisions, then fills. None where the prefix says
    nothing: it failed or lies within the warm-up, and with all bars nothing was decided so early either.
    """
    cut = prefix.length
    quiet = not any(whole.book.at(bar) for bar in whole.book.changes(cut))
    if prefix.error is not None:
        if quiet:
            return None
        what = f"{prefix.error.type}: {prefix.error.message}"[:200]
        return [
            Peek(
                cut - 1,
                f"{_with(cut, bars)}, the strategy fails ({what}); with all bars it had decided by then",
            )
        ]
    values = list(_values(prefix, whole, bars))
    if not values and quiet and _warming_up(prefix):
        return None
    decisions = _decision(prefix, whole, bars)
    found = [*values, *([decisions] if decisions else [])]
    if not found and (fill := _fill(prefix, whole, bars)):
        found.append(fill)
    return found


def _warming_up(prefix: Seen) -> bool:
    """Whether an indicator has no value yet: the engine then begins at once, where it would have waited."""
    return any(bool(np.isnan(row).all()) for indicator in prefix.indicators for row in indicator.rows)


def _values(prefix: Seen, whole: Seen, bars: pd.DataFrame) -> Iterator[Peek]:
    for one, two in zip(prefix.indicators, whole.indicators, strict=False):
        if one.name != two.name or one.rows.shape[0] != two.rows.shape[0]:
            return  # they were made in another order: nothing to compare
        known, later = one.rows, two.rows[:, : prefix.length]
        finite = np.abs(later[np.isfinite(later)])
        largest = float(finite.max()) if finite.size else 0.0
        same = np.isclose(known, later, rtol=_RELATIVE, atol=_OF_LARGEST * largest, equal_nan=True)
        if same.all():
            continue
        bar = int(np.argmin(same.all(axis=0)))
        row = int(np.argmin(same[:, bar]))
        yield Peek(
            bar,
            f"{_at(bar, bars)}: indicator {one.name} is {_number(known[row, bar])} {_with(prefix.length, bars)}, "
            f"and {_number(later[row, bar])} with all of them",
            one.name,
        )


def _decision(prefix: Seen, whole: Seen, bars: pd.DataFrame) -> Peek | None:
    cut = prefix.length
    for bar in sorted({*prefix.book.changes(cut), *whole.book.changes(cut)}):
        known, later = prefix.book.at(bar), whole.book.at(bar)
        if not _same_orders(known, later):
            decided = max(bar - 1, 0)
            return Peek(
                decided,
                f"{_at(decided, bars)}: at its close, {_with(cut, bars)}, the orders are {_orders(known)}; "
                f"with all of them {_orders(later)}",
            )
    return None


def _same_orders(one: Orders, two: Orders) -> bool:
    return len(one) == len(two) and all(
        a.of_trade == b.of_trade
        and all(
            _close(getattr(a, name), getattr(b, name))
            for name in ("size", "limit", "stop", "stop_loss", "target")
        )
        for a, b in zip(one, two, strict=True)
    )


def _close(one: float | None, two: float | None) -> bool:
    if one is None or two is None:
        return one is two
    return math.isclose(one, two, rel_tol=1e-9)


def _fill(prefix: Seen, whole: Seen, bars: pd.DataFrame) -> Peek | None:
    last = prefix.length - 1
    pairs = (
        (prefix.closed, [trade for trade in whole.closed if trade.exit_bar <= last], True),
        (prefix.open, [trade for trade in whole.closed if trade.entry_bar <= last < trade.exit_bar], False),
    )
    for known, later, ended in pairs:
        for one, two in zip(known, later, strict=False):
            if not _same_trade(one, two, ended):
                return Peek(
                    one.entry_bar,
                    f"{_at(one.entry_bar, bars)}: {_with(prefix.length, bars)}, a trade is {_trade(one, ended)}; with "
                    f"all of them {_trade(two, ended)}",
                )
        if len(known) != len(later):
            what = "had ended" if ended else "was open"
            return Peek(
                last,
                f"{_at(last, bars)}: {_with(prefix.length, bars)}, {len(known)} trades {what}; with all of them "
                f"{len(later)}",
            )
    return None


def _same_trade(one: Trade, two: Trade, ended: bool) -> bool:
    same = (one.side, one.size, one.entry_bar) == (two.side, two.size, two.entry_bar)
    same = same and math.isclose(one.entry_price, two.entry_price, rel_tol=1e-9)
    if ended:
        same = same and one.exit_bar == two.exit_bar
        same = same and math.isclose(one.exit_price, two.exit_price, rel_tol=1e-9)
    return same


def _trade(trade: Trade, ended: bool) -> str:
    end = f", out at {trade.exit_price:.10g} in bar {trade.exit_bar}" if ended else ""
    return f"{trade.side} {trade.size:.10g} at {trade.entry_price:.10g} in bar {trade.entry_bar}{end}"


def _orders(orders: Orders) -> str:
    return "; ".join(map(str, orders[:3])) + (" …" if len(orders) > 3 else "") if orders else "none"


def _with(cut: int, bars: pd.DataFrame) -> str:
    return f"with the bars up to {cut - 1} ({_time(cut - 1, bars)}) only"


def _at(bar: int, bars: pd.DataFrame) -> str:
    return f"bar {bar} ({_time(bar, bars)})"


def _time(bar: int, bars: pd.DataFrame) -> str:
    moment = bars.index[bar]
    return f"{moment:%Y-%m-%d}" if moment == moment.normalize() else f"{moment:%Y-%m-%d %H:%M}"


def _number(value: float) -> str:
    return "missing" if math.isnan(value) else f"{value:.8g}"
