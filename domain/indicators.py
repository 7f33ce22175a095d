"""The catalogue's indicators in numpy and pandas, written apart from TA-Lib and equal to it.

`compute` gives the same numbers, to 1e-8 and better, as the TA-Lib function that the catalogue names, the leading
NaNs included (TA-Lib 0.8, default compatibility, unstable period 0). The last bits may differ, as TA-Lib's own do from
build to build; `domain.expected` allows for that where a rule stands on a tie.
Source of the formulas: https://ta-lib.org/functions/.
"""

from collections.abc import Callable, Mapping
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pandas as pd

Series = npt.NDArray[np.float64]
Arguments = Mapping[str, float]

_ZERO = 1e-14
"""TA-Lib takes a difference smaller than this share of its operands for zero."""

_CELLS = 1 << 21
"""Most numbers in one block of windows; bounds the memory that a long period takes."""


def compute(name: str, args: Arguments, *inputs: Series) -> tuple[Series, ...]:
    """All lines of one indicator, in the catalogue's order, each as long as the input.

    `inputs` are the catalogue's columns in its order, or the one source series. Values that aren't there yet are NaN.
    Raises KeyError for a name that isn't in the catalogue.
    """
    function = _FUNCTIONS[name]
    length = len(inputs[0])
    missing = np.zeros(length, dtype=bool)
    for series in inputs:
        missing |= np.isnan(series)
    begin = length if missing.all() else int(np.argmin(missing))
    with np.errstate(all="ignore"):
        lines = function({key: _whole(value) for key, value in args.items()}, *(s[begin:] for s in inputs))
    return tuple(_pad(line, length) for line in lines)


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _pad(values: Series, length: int) -> Series:
    """`values` at the end of `length` places, NaN before."""
    return np.concatenate((np.full(length - len(values), np.nan), values))


def _empty() -> Series:
    return np.empty(0)


# Sums and averages. Each returns only the values that exist: n - (period - 1) of them, or none.


def _window_sums(values: Series, period: int) -> Series:
    """Sums of the last `period` values as one running total: add the newest, read, take away the oldest."""
    count = len(values) - period + 1
    if count < 1:
        return _empty()
    steps = np.empty(2 * count)
    steps[0::2] = values[period - 1 :]
    steps[1::2] = -values[:count]
    return np.cumsum(np.concatenate((values[: period - 1], steps)))[period - 1 :: 2]


def _sma(values: Series, period: int) -> Series:
    return values if period == 1 else _window_sums(values, period) / period


def _ema(values: Series, period: int) -> Series:
    """Seeded with the mean of the first `period` values."""
    if len(values) < period:
        return _empty()
    if period == 1:
        return values
    weight = 2.0 / (period + 1)
    seed = float(np.cumsum(values[:period])[-1]) / period
    return np.array(
        list(accumulate(values[period:].tolist(), lambda last, x: (x - last) * weight + last, initial=seed))
    )


def _wilder(seed: float, values: Series, period: int) -> Series:
    """Wilder's smoothing: each value weighs 1/period; `seed` comes first."""
    keep = period - 1
    return np.array(
        list(accumulate(values.tolist(), lambda last, x: (last * keep + x) / period, initial=seed))
    )


def _wma(values: Series, period: int) -> Series:
    divider = period * (period + 1) // 2
    data = values.tolist()
    if len(data) < period:
        return _empty()
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


def _deviation(values: Series, period: int) -> Series:
    """Standard deviation of the population over each window, in two passes, which loses no digits."""
    if len(values) < period:
        return _empty()
    windows = np.lib.stride_tricks.sliding_window_view(values, period)
    rows = max(1, _CELLS // period)
    deviation = np.concatenate(
        [windows[first : first + rows].std(axis=-1) for first in range(0, len(windows), rows)]
    )
    flat = _highest_of(values, period) == _lowest_of(values, period)
    return np.where(flat, 0.0, deviation)


def _highest_of(values: Series, period: int) -> Series:
    return np.asarray(pd.Series(values).rolling(period).max(), dtype=np.float64)[period - 1 :]


def _lowest_of(values: Series, period: int) -> Series:
    return -_highest_of(-values, period)


def _real(difference: Series, scale: Series) -> npt.NDArray[np.bool_]:
    """Where a difference of numbers about as large as `scale` is more than their rounding."""
    return np.abs(difference) > _ZERO * scale


def _quotient(numerator: Series, denominator: Series, where: npt.NDArray[np.bool_]) -> Series:
    """`numerator / denominator` where `where`, else 0, as TA-Lib has it."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=where)


# Indicators of one series


def _sma_line(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (_sma(source, int(args["period"])),)


def _ema_line(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (_ema(source, int(args["period"])),)


def _wma_line(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (_wma(source, int(args["period"])),)


def _tail(values: Series, like: Series) -> Series:
    return values[len(values) - len(like) :]


def _dema(args: Arguments, source: Series) -> tuple[Series, ...]:
    once = _ema(source, int(args["period"]))
    twice = _ema(once, int(args["period"]))
    return (2.0 * _tail(once, twice) - twice,)


def _tema(args: Arguments, source: Series) -> tuple[Series, ...]:
    once = _ema(source, int(args["period"]))
    twice = _ema(once, int(args["period"]))
    thrice = _ema(twice, int(args["period"]))
    return (thrice + (3.0 * _tail(once, thrice) - 3.0 * _tail(twice, thrice)),)


def _rsi(args: Arguments, source: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    change = np.diff(source)
    if len(change) < period:
        return (_empty(),)
    gain, loss = (
        _wilder(float(np.cumsum(part[:period])[-1]) / period, part[period:], period)
        for part in (np.where(change < 0, 0.0, change), np.where(change < 0, -change, 0.0))
    )
    both = gain + loss
    return (100.0 * _quotient(gain, both, both > 0.0),)


def _roc(args: Arguments, source: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    before, now = source[:-period], source[period:]
    return (np.where(before != 0.0, (now / before - 1.0) * 100.0, 0.0),)


def _mom(args: Arguments, source: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    return (source[period:] - source[:-period],)


def _stddev(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (_deviation(source, int(args["period"])),)


def _macd(args: Arguments, source: Series) -> tuple[Series, ...]:
    fast, slow = sorted((int(args["fast"]), int(args["slow"])))
    # The fast average is seeded late, so that both averages begin on the same bar.
    macd = _ema(source[slow - fast :], fast) - _ema(source, slow)
    signal = _ema(macd, int(args["signal"]))
    macd = _tail(macd, signal)
    return macd, signal, macd - signal


def _bbands(args: Arguments, source: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    middle = _sma(source, period)
    width = _deviation(source, period) * args["dev"]
    return middle + width, middle, middle - width


def _highest(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (_highest_of(source, int(args["period"])),)


def _lowest(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (_lowest_of(source, int(args["period"])),)


def _abs(_: Arguments, source: Series) -> tuple[Series, ...]:
    return (np.abs(source),)


# Indicators of fixed columns


def _true_range(high: Series, low: Series, close: Series) -> Series:
    """From the second bar on."""
    before = close[:-1]
    return np.maximum(np.maximum(high[1:] - low[1:], np.abs(high[1:] - before)), np.abs(low[1:] - before))


def _average_range(high: Series, low: Series, close: Series, period: int) -> Series:
    true_range = _true_range(high, low, close)
    if period == 1 or len(true_range) < period:
        return true_range if period == 1 else _empty()
    return _wilder(float(np.cumsum(true_range[:period])[-1]) / period, true_range[period:], period)


def _atr(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    return (_average_range(high, low, close, int(args["period"])),)


def _natr(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    average = _average_range(high, low, close, int(args["period"]))
    if args["period"] == 1:  # TA-Lib gives the range itself here, not in percent
        return (average,)
    price = _tail(close, average)
    return (_quotient(average, price, price != 0.0) * 100.0,)


def _decayed_sums(values: Series, period: int) -> Series:
    """Wilder's sums: each step gives away 1/period of the sum and adds the newest; period - 1 values seed it."""
    if len(values) < period:
        return _empty()
    seed = float(np.cumsum(np.concatenate(([0.0], values[: period - 1])))[-1])
    sums = accumulate(values[period - 1 :].tolist(), lambda last, x: last - last / period + x, initial=seed)
    return np.array(list(sums)[1:])


def _directions(
    args: Arguments, high: Series, low: Series, close: Series
) -> tuple[Series, Series, npt.NDArray[np.bool_]]:
    """Plus and minus directional indicator, and where the range isn't zero; from bar `period` on."""
    period = int(args["period"])
    up, down = np.diff(high), -np.diff(low)
    plus = np.where((up > 0) & (up > down), up, 0.0)
    minus = np.where((down > 0) & (up < down), down, 0.0)
    ranges = _decayed_sums(_true_range(high, low, close), period)
    real = ranges > 0.0
    return (
        100.0 * _quotient(_decayed_sums(plus, period), ranges, real),
        100.0 * _quotient(_decayed_sums(minus, period), ranges, real),
        real,
    )


def _plus_di(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    return (_directions(args, high, low, close)[0],)


def _minus_di(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    return (_directions(args, high, low, close)[1],)


def _adx(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    plus, minus, real = _directions(args, high, low, close)
    if len(plus) < period:
        return (_empty(),)
    both = plus + minus
    real = real & (both >= _ZERO)
    strength = 100.0 * _quotient(np.abs(minus - plus), both, real)
    last = float(np.cumsum(strength[:period])[-1]) / period
    result = [last]
    for value, counts in zip(strength[period:].tolist(), real[period:].tolist(), strict=True):
        if counts:
            last = (last * (period - 1) + value) / period
        result.append(last)
    return (np.array(result),)


def _cci(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    typical = (high + low + close) / 3.0
    now = np.arange(period - 1, len(typical))
    if not len(now):
        return (_empty(),)
    total, deviation = np.zeros(len(now)), np.zeros(len(now))
    for age in range(period):
        total += typical[now - age]
    average = total / period
    for age in range(period):
        deviation += np.abs(typical[now - age] - average)
    distance = typical[now] - average
    deviation /= period
    real = _real(distance, np.abs(average)) & _real(deviation, np.abs(average))
    return (_quotient(distance, 0.015 * deviation, real),)


def _willr(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    top, bottom = _highest_of(high, period), _lowest_of(low, period)
    span = top - bottom
    return (-100.0 * _quotient(top - _tail(close, top), span, _real(span, np.abs(top) + np.abs(bottom))),)


def _stoch(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    period = int(args["fastk"])
    top, bottom = _highest_of(high, period), _lowest_of(low, period)
    span = top - bottom
    place = 100.0 * _quotient(_tail(close, top) - bottom, span, _real(span, np.abs(top) + np.abs(bottom)))
    slow = _sma(place, int(args["slowk"]))
    signal = _sma(slow, int(args["slowd"]))
    return _tail(slow, signal), signal


def _obv(_: Arguments, close: Series, volume: Series) -> tuple[Series, ...]:
    return (np.cumsum(np.concatenate((volume[:1], np.sign(np.diff(close)) * volume[1:]))),)


def _mfi(args: Arguments, high: Series, low: Series, close: Series, volume: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    typical = (high + low + close) / 3.0
    change, flow = np.diff(typical), typical[1:] * volume[1:]
    if len(flow) < period:
        return (_empty(),)
    flow = np.where(_real(change, np.abs(typical[1:]) + np.abs(typical[:-1])), flow, 0.0)
    into, out_of = (_ring_sums(np.where(part, flow, 0.0), period) for part in (change >= 0, change < 0))
    both = into + out_of
    some = _highest_of(np.abs(flow), period) > 0.0  # else the running sums hold their rounding alone
    return (100.0 * _quotient(np.clip(into, 0.0, both), both, some & (both > 0.0)),)


def _ring_sums(values: Series, period: int) -> Series:
    """Sums of the last `period` values as one running total: take away the oldest, add the newest, read."""
    count = len(values) - period
    steps = np.empty(2 * count)
    steps[0::2] = -values[:count]
    steps[1::2] = values[period:]
    return np.cumsum(np.concatenate((values[:period], steps)))[period - 1 :: 2]


def _vwap(args: Arguments, high: Series, low: Series, close: Series, volume: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    value = pd.Series((high + low + close) / 3 * volume)
    return ((value.rolling(period).sum() / pd.Series(volume).rolling(period).sum()).to_numpy(dtype=float),)


_FUNCTIONS: Mapping[str, Callable[..., tuple[Series, ...]]] = {
    "SMA": _sma_line,
    "EMA": _ema_line,
    "WMA": _wma_line,
    "DEMA": _dema,
    "TEMA": _tema,
    "RSI": _rsi,
    "ROC": _roc,
    "MOM": _mom,
    "STDDEV": _stddev,
    "MACD": _macd,
    "BBANDS": _bbands,
    "HIGHEST": _highest,
    "LOWEST": _lowest,
    "ABS": _abs,
    "ATR": _atr,
    "NATR": _natr,
    "ADX": _adx,
    "PLUS_DI": _plus_di,
    "MINUS_DI": _minus_di,
    "CCI": _cci,
    "WILLR": _willr,
    "STOCH": _stoch,
    "OBV": _obv,
    "MFI": _mfi,
    "VWAP": _vwap,
}
