"""Rows to bars: order, duplicates, gaps, and bars that can't be.

What is mended is reported: order, duplicates, rows without a price, missing volume. What would change a price
isn't mended: a bar whose High is below its Low, or a price of zero, is refused with its line.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from services.market_data.columns import PRICES
from services.market_data.errors import DataError, number_lines
from services.market_data.numbers import Floats
from services.market_data.table import Table

Mask = npt.NDArray[np.bool_]
_ROUNDING = 1e-6
"""Adjusted prices are rounded one by one: so little, as a share, may Open or Close lie beyond the range."""


def make_bars(table: Table, times: pd.DatetimeIndex, source: str) -> tuple[pd.DataFrame, list[str]]:
    """Bars in order, each time once: UTC index `Date`; float columns Open, High, Low, Close, Volume."""
    warnings: list[str] = []
    frame = pd.DataFrame(table.prices, index=times.as_unit("us").rename("Date"))[list(PRICES)]
    frame["Volume"] = _volume(table, len(frame), source, warnings)
    frame["line"] = table.lines
    frame = _drop_empty(frame, source, warnings)
    _refuse_impossible(frame, source)
    frame = _widen(frame, source, warnings)
    frame = _in_order(frame, warnings)
    frame = _once(frame, warnings)
    return frame.drop(columns="line"), warnings


def _volume(table: Table, rows: int, source: str, warnings: list[str]) -> Floats:
    if table.volume is None:
        warnings.append("no column Volume; it is 0 throughout")
        return np.zeros(rows)
    wrong = np.isinf(table.volume) | (table.volume < 0)
    if wrong.any():
        first = table.volume[wrong][0]
        raise DataError(
            source,
            "Volume can't be",
            found=f"{first:g}",
            expected="a number of 0 or more",
            lines=_lines(table.lines, wrong),
        )
    missing = np.isnan(table.volume)
    if missing.any():
        warnings.append(f"Volume is missing in {missing.sum():,} of {rows:,} rows and taken as 0 there")
    return np.where(missing, 0.0, table.volume) + 0.0


def _drop_empty(frame: pd.DataFrame, source: str, warnings: list[str]) -> pd.DataFrame:
    empty = frame[list(PRICES)].isna().any(axis=1).to_numpy()
    if empty.all():
        raise DataError(
            source, "no row holds all four prices", expected="Open, High, Low and Close in each row"
        )
    if empty.any():
        warnings.append(
            f"{_rows(empty)} without a price dropped: {number_lines(_lines(frame['line'], empty))}"
        )
    return frame[~empty]


def _refuse_impossible(frame: pd.DataFrame, source: str) -> None:
    prices: Floats = frame[list(PRICES)].to_numpy()
    infinite = np.isinf(prices).any(axis=1)
    if infinite.any():
        raise DataError(
            source, "a price is infinite", expected="finite prices", lines=_lines(frame["line"], infinite)
        )
    flat = np.less_equal(prices, 0).any(axis=1)
    if flat.any():
        raise DataError(
            source,
            "a price is zero or negative",
            found=f"{prices[flat][0].min():g}",
            expected="prices above zero; remove these rows, or leave their prices empty to have them dropped",
            lines=_lines(frame["line"], flat),
        )
    slack = _ROUNDING * prices.max(axis=1)
    high, low = prices[:, 1], prices[:, 2]
    inverted = np.less(high, low)
    if inverted.any():
        first = prices[inverted][0]
        raise DataError(
            source,
            "High is below Low",
            found=f"High {first[1]:.10g}, Low {first[2]:.10g}",
            expected="High at or above Low; are the columns named right?",
            lines=_lines(frame["line"], inverted),
        )
    for position, name in ((0, "Open"), (3, "Close")):
        outside = (prices[:, position] > high + slack) | (prices[:, position] < low - slack)
        if outside.any():
            first = prices[outside][0]
            raise DataError(
                source,
                f"{name} lies outside Low to High",
                found=f"{name} {first[position]:.10g}, Low {first[2]:.10g}, High {first[1]:.10g}",
                expected="a price within the bar; are prices adjusted in one column only?",
                lines=_lines(frame["line"], outside),
            )


def _widen(frame: pd.DataFrame, source: str, warnings: list[str]) -> pd.DataFrame:
    highest, lowest = frame[list(PRICES)].max(axis=1), frame[list(PRICES)].min(axis=1)
    beyond = ((highest > frame["High"]) | (lowest < frame["Low"])).to_numpy()
    if not beyond.any():
        return frame
    warnings.append(
        f"High or Low widened in {_rows(beyond)}, where Open or Close lay beyond by no more than rounding: "
        + number_lines(_lines(frame["line"], beyond))
    )
    return frame.assign(High=highest, Low=lowest)


def _in_order(frame: pd.DataFrame, warnings: list[str]) -> pd.DataFrame:
    index = pd.DatetimeIndex(frame.index)
    if index.is_monotonic_increasing:
        return frame
    if index.is_monotonic_decreasing:
        warnings.append("the newest bar came first; the order was turned round")
    else:
        back = np.flatnonzero(np.diff(index.asi8) < 0)
        warnings.append(
            f"bars out of order in {len(back)} places, first at line {frame['line'].iloc[back[0] + 1]}; sorted"
        )
    return frame.sort_values(["Date", "line"], kind="stable")


def _once(frame: pd.DataFrame, warnings: list[str]) -> pd.DataFrame:
    identical = frame.reset_index().duplicated(["Date", *PRICES, "Volume"]).to_numpy()
    if identical.any():
        warnings.append(
            f"{_rows(identical)} repeated exactly, dropped: {number_lines(_lines(frame['line'], identical))}"
        )
        frame = frame[~identical]
    differing = frame.index.duplicated(keep="last")
    if differing.any():
        first = frame.index[differing][0]
        warnings.append(
            f"{_rows(differing)} with the time of another but other values, the last kept; first "
            f"at {first:%Y-%m-%d %H:%M}; dropped: {number_lines(_lines(frame['line'], differing))}"
        )
        frame = frame[~differing]
    return frame


def _rows(mask: Mask) -> str:
    count = int(mask.sum())
    return "1 row" if count == 1 else f"{count:,} rows"


def _lines(lines: "pd.Series[int] | npt.NDArray[np.int64]", mask: npt.ArrayLike) -> list[int]:
    return [int(line) for line in np.asarray(lines)[np.flatnonzero(mask)]]
