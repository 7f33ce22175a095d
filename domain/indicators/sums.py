"""Sums, averages and extremes over windows, from which the indicators are made.

What moves over a window returns only the values that exist: n - (period - 1) of them, or none.
"""

from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pandas as pd

Series = npt.NDArray[np.float64]

ZERO = 1e-14
"""TA-Lib takes a difference smaller than this share of its operands for zero."""

_CELLS = 1 << 21
"""Most numbers in one block of windows; bounds the memory that a long period takes."""


def empty() -> Series:
    return np.empty(0)


def tail(values: Series, like: Series) -> Series:
    return values[len(values) - len(like) :]


def window_sums(values: Series, period: int) -> Series:
    """Sums of the last `period` values as one running total: add the newest, read, take away the oldest."""
    count = len(values) - period + 1
    if count < 1:
        return empty()
    steps = np.empty(2 * count)
    steps[0::2] = values[period - 1 :]
    steps[1::2] = -values[:count]
    return np.cumsum(np.concatenate((values[: period - 1], steps)))[period - 1 :: 2]


def sma(values: Series, period: int) -> Series:
    return values if period == 1 else window_sums(values, period) / period


def ema(values: Series, period: int) -> Series:
    """Seeded with the mean of the first `period` values."""
    if len(values) < period:
        return empty()
    if period == 1:
        return values
    weight = 2.0 / (period + 1)
    seed = float(np.cumsum(values[:period])[-1]) / period
    return np.array(
        list(accumulate(values[period:].tolist(), lambda last, x: (x - last) * weight + last, initial=seed))
    )


def wilder(seed: float, values: Series, period: int) -> Series:
    """Wilder's smoothing: each value weighs 1/period; `seed` comes first."""
    keep = period - 1
    return np.array(
        list(accumulate(values.tolist(), lambda last, x: (last * keep + x) / period, initial=seed))
    )


def wma(values: Series, period: int) -> Series:
    divider = period * (period + 1) // 2
    data = values.tolist()
    if len(data) < period:
        return empty()
    plain = weighted = 0.0
    for weight, value in enumerate(data[: period - 1], start=1):
        plain += value
        weighted += value * weight
    result, oldest = [], 0.0
    for index in range(period - 1, len(data)):
        value = data[index]
        plain = plain + value - oldest
        weighted += value * period
        oldest = data[index - period + 1]
        result.append(weighted / divider)
        weighted -= plain
    return np.array(result)


def standard_deviation(values: Series, period: int) -> Series:
    """Standard deviation of the population over each window, in two passes, which loses no digits."""
    if len(values) < period:
        return empty()
    windows = np.lib.stride_tricks.sliding_window_view(values, period)
    rows = max(1, _CELLS // period)
    deviation = np.concatenate(
        [windows[first : first + rows].std(axis=-1) for first in range(0, len(windows), rows)]
    )
    flat = highest_of(values, period) == lowest_of(values, period)
    return np.where(flat, 0.0, deviation)


def highest_of(values: Series, period: int) -> Series:
    return np.asarray(pd.Series(values).rolling(period).max(), dtype=np.float64)[period - 1 :]


def lowest_of(values: Series, period: int) -> Series:
    return -highest_of(-values, period)


def decayed_sums(values: Series, period: int) -> Series:
    """Wilder's sums: each step gives away 1/period of the sum and adds the newest; period - 1 values seed it."""
    if len(values) < period:
        return empty()
    seed = float(np.cumsum(np.concatenate(([0.0], values[: period - 1])))[-1])
    sums = accumulate(values[period - 1 :].tolist(), lambda last, x: last - last / period + x, initial=seed)
    return np.array(list(sums)[1:])


def ring_sums(values: Series, period: int) -> Series:
    """Sums of the last `period` values as one running total: take away the oldest, add the newest, read."""
    count = len(values) - period
    steps = np.empty(2 * count)
    steps[0::2] = -values[:count]
    steps[1::2] = values[period:]
    return np.cumsum(np.concatenate((values[:period], steps)))[period - 1 :: 2]


def beyond_rounding(difference: Series, scale: Series) -> npt.NDArray[np.bool_]:
    """Where a difference of numbers about as large as `scale` is more than their rounding."""
    return np.abs(difference) > ZERO * scale


def quotient(numerator: Series, denominator: Series, where: npt.NDArray[np.bool_]) -> Series:
    """`numerator / denominator` where `where`, else 0, as TA-Lib has it."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=where)
