"""The indicators of the rule language: one table, read by the parser, the compiler and the reader.

Names, defaults and warm-up follow TA-Lib's functions (https://ta-lib.org/functions/) unless `talib` is None; those are
defined here, in words, and computed by pandas on both sides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class Argument:
    """One argument of an indicator. `talib` is the keyword it has in TA-Lib."""

    name: str
    default: float
    talib: str
    kind: Literal["int", "float"] = "int"
    minimum: float = 1
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndicatorSpec:
    """One indicator. `columns` are the data columns it is computed from; () means one series, Close by default."""

    name: str
    title: str
    arguments: tuple[Argument, ...]
    columns: tuple[str, ...] = ()
    lines: tuple[str, ...] = ("value",)
    """In the order in which TA-Lib returns them; the first is taken where none is named, unless `default_line`."""
    default_line: str | None = None
    talib: str | None = None
    aliases: tuple[str, ...] = ()
    meaning: str = ""

    @property
    def one_series(self) -> bool:
        return not self.columns


def _period(default: int, minimum: int = 2, talib: str = "timeperiod") -> Argument:
    return Argument("period", default, talib, minimum=minimum, aliases=("length", "n", "timeperiod"))


HLC = ("High", "Low", "Close")

_SPECS = (
    IndicatorSpec("SMA", "simple moving average", (_period(30),), talib="SMA"),
    IndicatorSpec("EMA", "exponential moving average, seeded with the SMA", (_period(30),), talib="EMA"),
    IndicatorSpec("WMA", "linearly weighted moving average", (_period(30),), talib="WMA"),
    IndicatorSpec("DEMA", "double exponential moving average", (_period(30),), talib="DEMA"),
    IndicatorSpec("TEMA", "triple exponential moving average", (_period(30),), talib="TEMA"),
    IndicatorSpec("RSI", "relative strength index, Wilder's", (_period(14),), talib="RSI"),
    IndicatorSpec("ROC", "rate of change in percent", (_period(10, 1),), talib="ROC"),
    IndicatorSpec(
        "MOM", "momentum, the change over the period", (_period(10, 1),), talib="MOM", aliases=("MOMENTUM",)
    ),
    IndicatorSpec(
        "STDDEV", "standard deviation of the population", (_period(20),), talib="STDDEV", aliases=("STD",)
    ),
    IndicatorSpec(
        "MACD",
        "moving average convergence divergence",
        (
            Argument("fast", 12, "fastperiod", minimum=2, aliases=("fastperiod", "fast_period")),
            Argument("slow", 26, "slowperiod", minimum=2, aliases=("slowperiod", "slow_period")),
            Argument("signal", 9, "signalperiod", aliases=("signalperiod", "signal_period")),
        ),
        lines=("macd", "signal", "hist"),
        talib="MACD",
    ),
    IndicatorSpec(
        "BBANDS",
        "Bollinger bands around the SMA",
        (
            _period(20),
            Argument(
                "dev", 2, "nbdevup", kind="float", minimum=0.01, aliases=("deviations", "std", "k", "nbdev")
            ),
        ),
        lines=("upper", "middle", "lower"),
        default_line="middle",
        talib="BBANDS",
        aliases=("BB", "BOLLINGER"),
    ),
    IndicatorSpec("ATR", "average true range, Wilder's", (_period(14, 1),), HLC, talib="ATR"),
    IndicatorSpec("NATR", "average true range in percent of the close", (_period(14, 1),), HLC, talib="NATR"),
    IndicatorSpec("ADX", "average directional index", (_period(14),), HLC, talib="ADX"),
    IndicatorSpec("PLUS_DI", "plus directional indicator", (_period(14),), HLC, talib="PLUS_DI"),
    IndicatorSpec("MINUS_DI", "minus directional indicator", (_period(14),), HLC, talib="MINUS_DI"),
    IndicatorSpec("CCI", "commodity channel index", (_period(20),), HLC, talib="CCI"),
    IndicatorSpec("WILLR", "Williams' %R", (_period(14),), HLC, talib="WILLR", aliases=("WILLIAMS_R",)),
    IndicatorSpec(
        "STOCH",
        "slow stochastic",
        (
            Argument("fastk", 14, "fastk_period", aliases=("k", "fastk_period")),
            Argument("slowk", 3, "slowk_period", aliases=("smooth", "slowk_period")),
            Argument("slowd", 3, "slowd_period", aliases=("d", "slowd_period")),
        ),
        HLC,
        lines=("k", "d"),
        talib="STOCH",
        aliases=("STOCHASTIC",),
    ),
    IndicatorSpec("OBV", "on-balance volume", (), ("Close", "Volume"), talib="OBV"),
    IndicatorSpec("MFI", "money flow index", (_period(14),), ("High", "Low", "Close", "Volume"), talib="MFI"),
    IndicatorSpec(
        "HIGHEST",
        "highest value of the last bars, this one included",
        (_period(20),),
        talib="MAX",
        aliases=("MAX",),
    ),
    IndicatorSpec(
        "LOWEST",
        "lowest value of the last bars, this one included",
        (_period(20),),
        talib="MIN",
        aliases=("MIN",),
    ),
    IndicatorSpec(
        "VWAP",
        "volume-weighted average price",
        (_period(20, 1),),
        ("High", "Low", "Close", "Volume"),
        meaning="sum over the last bars of typical price (H+L+C)/3 times volume, divided by their volume",
    ),
    IndicatorSpec("ABS", "absolute value", (), meaning="the number without its sign"),
)

CATALOGUE: Mapping[str, IndicatorSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""By canonical name."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {alias: spec.name for spec in _SPECS for alias in (spec.name, *spec.aliases)}
)
"""Upper-case name or alias to canonical name; look-ups are case-insensitive."""
