"""The lines of each indicator, by name."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.indicators.sums import (
    ZERO,
    Series,
    beyond_rounding,
    decayed_sums,
    ema,
    empty,
    highest_of,
    lowest_of,
    quotient,
    ring_sums,
    sma,
    standard_deviation,
    tail,
    wilder,
    wma,
)

Arguments = Mapping[str, float]


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


# Indicators of one series


def _sma_line(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (sma(source, int(args["period"])),)


def _ema_line(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (ema(source, int(args["period"])),)


def _wma_line(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (wma(source, int(args["period"])),)


def _dema(args: Arguments, source: Series) -> tuple[Series, ...]:
    once = ema(source, int(args["period"]))
    twice = ema(once, int(args["period"]))
    return (2.0 * tail(once, twice) - twice,)


def _tema(args: Arguments, source: Series) -> tuple[Series, ...]:
    once = ema(source, int(args["period"]))
    twice = ema(once, int(args["period"]))
    thrice = ema(twice, int(args["period"]))
    return (thrice + (3.0 * tail(once, thrice) - 3.0 * tail(twice, thrice)),)


def _rsi(args: Arguments, source: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    change = np.diff(source)
    if len(change) < period:
        return (empty(),)
    gain, loss = (
        wilder(float(np.cumsum(part[:period])[-1]) / period, part[period:], period)
        for part in (np.where(change < 0, 0.0, change), np.where(change < 0, -change, 0.0))
    )
    both = gain + loss
    return (100.0 * quotient(gain, both, both > 0.0),)


def _roc(args: Arguments, source: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    before, now = source[:-period], source[period:]
    return (np.where(before != 0.0, (now / before - 1.0) * 100.0, 0.0),)


def _mom(args: Arguments, source: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    return (source[period:] - source[:-period],)


def _stddev(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (standard_deviation(source, int(args["period"])),)


def _macd(args: Arguments, source: Series) -> tuple[Series, ...]:
    fast, slow = sorted((int(args["fast"]), int(args["slow"])))
    # The fast average is seeded late, so that both averages begin on the same bar.
    macd = ema(source[slow - fast :], fast) - ema(source, slow)
    signal = ema(macd, int(args["signal"]))
    macd = tail(macd, signal)
    return macd, signal, macd - signal


def _bbands(args: Arguments, source: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    middle = sma(source, period)
    width = standard_deviation(source, period) * args["dev"]
    return middle + width, middle, middle - width


def _highest(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (highest_of(source, int(args["period"])),)


def _lowest(args: Arguments, source: Series) -> tuple[Series, ...]:
    return (lowest_of(source, int(args["period"])),)


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
        return true_range if period == 1 else empty()
    return wilder(float(np.cumsum(true_range[:period])[-1]) / period, true_range[period:], period)


def _atr(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    return (_average_range(high, low, close, int(args["period"])),)


def _natr(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    average = _average_range(high, low, close, int(args["period"]))
    if args["period"] == 1:  # TA-Lib gives the range itself here, not in percent
        return (average,)
    price = tail(close, average)
    return (quotient(average, price, price != 0.0) * 100.0,)


def _directions(
    args: Arguments, high: Series, low: Series, close: Series
) -> tuple[Series, Series, npt.NDArray[np.bool_]]:
    """Plus and minus directional indicator, and where the range isn't zero; from bar `period` on."""
    period = int(args["period"])
    up, down = np.diff(high), -np.diff(low)
    plus = np.where((up > 0) & (up > down), up, 0.0)
    minus = np.where((down > 0) & (up < down), down, 0.0)
    ranges = decayed_sums(_true_range(high, low, close), period)
    real = ranges > 0.0
    return (
        100.0 * quotient(decayed_sums(plus, period), ranges, real),
        100.0 * quotient(decayed_sums(minus, period), ranges, real),
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
        return (empty(),)
    both = plus + minus
    real = real & (both >= ZERO)
    strength = 100.0 * quotient(np.abs(minus - plus), both, real)
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
        return (empty(),)
    total, deviation = np.zeros(len(now)), np.zeros(len(now))
    for age in range(period):
        total += typical[now - age]
    average = total / period
    for age in range(period):
        deviation += np.abs(typical[now - age] - average)
    distance = typical[now] - average
    deviation /= period
    real = beyond_rounding(distance, np.abs(average)) & beyond_rounding(deviation, np.abs(average))
    return (quotient(distance, 0.015 * deviation, real),)


def _willr(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    top, bottom = highest_of(high, period), lowest_of(low, period)
    span = top - bottom
    return (
        -100.0 * quotient(top - tail(close, top), span, beyond_rounding(span, np.abs(top) + np.abs(bottom))),
    )


def _stoch(args: Arguments, high: Series, low: Series, close: Series) -> tuple[Series, ...]:
    period = int(args["fastk"])
    top, bottom = highest_of(high, period), lowest_of(low, period)
    span = top - bottom
    place = 100.0 * quotient(
        tail(close, top) - bottom, span, beyond_rounding(span, np.abs(top) + np.abs(bottom))
    )
    slow = sma(place, int(args["slowk"]))
    signal = sma(slow, int(args["slowd"]))
    return tail(slow, signal), signal


def _obv(_: Arguments, close: Series, volume: Series) -> tuple[Series, ...]:
    return (np.cumsum(np.concatenate((volume[:1], np.sign(np.diff(close)) * volume[1:]))),)


def _mfi(args: Arguments, high: Series, low: Series, close: Series, volume: Series) -> tuple[Series, ...]:
    period = int(args["period"])
    typical = (high + low + close) / 3.0
    change, flow = np.diff(typical), typical[1:] * volume[1:]
    if len(flow) < period:
        return (empty(),)
    flow = np.where(beyond_rounding(change, np.abs(typical[1:]) + np.abs(typical[:-1])), flow, 0.0)
    into, out_of = (ring_sums(np.where(part, flow, 0.0), period) for part in (change >= 0, change < 0))
    both = into + out_of
    some = highest_of(np.abs(flow), period) > 0.0  # else the running sums hold their rounding alone
    return (100.0 * quotient(np.clip(into, 0.0, both), both, some & (both > 0.0)),)


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
