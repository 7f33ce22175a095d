"""The distance between bars, and bars that are missing."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_NAMES = {
    60: "1m", 120: "2m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h", 86400: "1d",
    604800: "1wk",
}  # fmt: skip
_DAY, _MONTH = 86400, 30.436875 * 86400
_USUAL_SHARE = 0.25
"""A break that follows this share of the bars at its hour is the market's close, not a gap; a quarter, since
daylight saving moves a close by an hour for about half of a year and holidays move it again."""


def interval_of(index: pd.DatetimeIndex) -> str:
    """Most frequent distance between bars, in DataSet's words; `unknown` for a single bar."""
    if len(index) < 2:
        return "unknown"
    steps = _steps(index)
    if _monthly(steps):
        return "1mo"
    step = _usual(steps)
    return _NAMES.get(int(step), f"{step:.9g}s") if step == int(step) else f"{step:.9g}s"


def describe_gaps(index: pd.DatetimeIndex) -> list[str]:
    """One line on the bars that are missing beside the market's usual breaks, or nothing."""
    if len(index) < 3:
        return []
    steps = _steps(index)
    if _monthly(steps):
        missing = np.round(steps / _MONTH).astype(np.int64) - 1
    else:
        step = _usual(steps)
        missing = np.maximum(np.round(steps / step).astype(np.int64) - 1, 0)
        if step == _DAY and not _trades_at_weekends(index):
            days = index.tz_localize(None).to_numpy().astype("datetime64[D]")
            missing = np.maximum(np.busday_count(days[:-1], days[1:]) - 1, 0)
        elif step < _DAY:
            missing = np.where(_usual_breaks(index, missing > 0), 0, missing)
    gaps = np.flatnonzero(missing)
    if not len(gaps):
        return []
    total = int(missing.sum())
    day = bool((index == index.normalize()).all())
    shown = ", ".join(
        f"{int(missing[i])} after {index[i].strftime('%Y-%m-%d' if day else '%Y-%m-%d %H:%M')}"
        for i in gaps[:3]
    )
    more = f" and {len(gaps) - 3:,} more gaps" if len(gaps) > 3 else ""
    holidays = " (holidays count among them)" if day and total > 1 else ""
    return [f"{total:,} {'bar is' if total == 1 else 'bars are'} missing{holidays}: {shown}{more}"]


def _steps(index: pd.DatetimeIndex) -> Floats:
    return np.diff(index.as_unit("us").asi8) / 1e6


def _usual(steps: Floats) -> float:
    values, counts = np.unique(steps, return_counts=True)
    return float(values[np.argmax(counts)])


def _monthly(steps: Floats) -> bool:
    days = steps / _DAY
    return bool(np.mean((days >= 27.9) & (days <= 31.1)) > 0.5)


def _trades_at_weekends(index: pd.DatetimeIndex) -> bool:
    return bool(np.mean(index.day_of_week >= 5) > 0.1)


def _usual_breaks(index: pd.DatetimeIndex, gap: Mask) -> Mask:
    """Which gaps are closes: those over a weekend never traded, and those that recur at their hour."""
    before = index[:-1]
    frame = pd.DataFrame({"gap": gap, "time": before.hour * 60 + before.minute, "day": before.day_of_week})
    usual = np.zeros(len(frame), dtype=bool)
    for slot in (["time"], ["day", "time"]):
        by = frame.groupby(slot)["gap"]
        usual |= ((by.transform("mean") >= _USUAL_SHARE) & (by.transform("sum") >= 2)).to_numpy()
    if not bool((index.day_of_week == 5).any()):
        days = index.normalize()
        saturdays = np.array((5 - days[:-1].day_of_week) % 7)
        spans = ((days[1:] - days[:-1]).days.to_numpy() > saturdays) & (saturdays <= 2)
        usual |= spans & ((days[1:] - days[:-1]).days.to_numpy() <= 4)
    return usual
