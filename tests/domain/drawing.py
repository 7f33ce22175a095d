"""Hypothesis strategies: definitions of every kind with their rulebooks, and bars to run them on."""

import zlib
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from domain.rules.ast import (
    Arithmetic,
    Compare,
    Condition,
    Cross,
    Expr,
    Indicator,
    Lag,
    Logic,
    Named,
    Negative,
    Not,
    Number,
    Parameter,
    Price,
    Rule,
    Rulebook,
)
from domain.rules.catalogue import CATALOGUE, Argument
from schemas.definition import StrategyDefinition

PARAMETERS = {"fast": 3, "slow": 8, "level": 55.5, "data": 20, "size": 2.0, "stop": 1.5, "hold": 6}
WHOLE = ("fast", "slow")
COLUMNS = ("Open", "High", "Low", "Close", "Volume")


def random_bars(
    seed: int, length: int, *, tick: float = 0.0, drift: float = 0.0, jumps: float = 0.0
) -> pd.DataFrame:
    """A random walk from 100. `tick` rounds prices, which makes ties; `jumps` is the share of bars that jump 10 %."""
    random = np.random.default_rng(seed)
    steps = random.normal(drift, 0.012, length) + (random.random(length) < jumps) * random.choice(
        [-0.1, 0.1], length
    )
    close = 100 * np.exp(np.cumsum(steps))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(random.normal(0, 0.004, length))
    high = np.maximum(opened, close) * np.exp(np.abs(random.normal(0, 0.005, length)))
    low = np.minimum(opened, close) * np.exp(-np.abs(random.normal(0, 0.005, length)))
    volume = random.integers(0, 1000, length) * (random.random(length) > 0.05)
    prices = np.stack([opened, high, low, close], axis=1)
    if tick:
        prices = np.maximum(np.round(prices / tick), 1) * tick
    frame = pd.DataFrame(prices, columns=list(COLUMNS[:4]))
    frame["Volume"] = volume.astype(float)
    frame.index = pd.date_range("2020-01-01", periods=length, freq="D", tz="UTC")
    return frame


bars = st.builds(
    random_bars,
    st.integers(0, 2**32 - 1),
    st.sampled_from([300, 400, 250, 120, 30, 5, 2, 1]),
    tick=st.sampled_from([0.0, 0.0, 0.5, 2.0]),
    drift=st.sampled_from([0.0, 0.003, -0.003]),
    jumps=st.sampled_from([0.0, 0.05, 0.3]),
)


@st.composite
def indicators(draw: st.DrawFn, depth: int = 1) -> Indicator:
    spec = CATALOGUE[draw(st.sampled_from(sorted(CATALOGUE)))]
    args = tuple((argument.name, draw(_argument(argument))) for argument in spec.arguments)
    source = draw(_sources(depth)) if spec.one_series else None
    return Indicator(spec.name, args, source, draw(st.sampled_from(spec.lines)))


def _argument(argument: Argument) -> st.SearchStrategy[Any]:
    if argument.kind == "float":
        return st.sampled_from([Number(1.0), Number(2.0), Number(2.5), Parameter("size")])
    numbers = st.integers(int(argument.minimum), 12).map(lambda value: Number(float(value)))
    return st.one_of(numbers, st.sampled_from([Parameter(name) for name in WHOLE]))


def _sources(depth: int) -> st.SearchStrategy[Any]:
    simple = st.sampled_from([Price("Close"), Price("Close"), Price("High"), Price("Low"), Price("Volume")])
    if depth <= 0:
        return simple
    return st.one_of(
        simple,
        simple,
        indicators(depth=depth - 1),
        st.builds(Lag, simple, st.integers(1, 6)),
        st.builds(
            Arithmetic,
            st.sampled_from(["+", "-", "*", "/"]),
            simple,
            st.sampled_from([Price("Open"), Price("Volume"), Number(2.0)]),
        ),
    )


def numbers() -> st.SearchStrategy[Any]:
    values = st.sampled_from([0.0, 1.0, 20.0, 30.0, 50.0, 70.0, 100.0, 0.5, -100.0])
    return st.one_of(values.map(Number), st.sampled_from([Parameter("level"), Parameter("data")]))


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> Expr:
    kind = draw(
        st.sampled_from(
            ["price", "indicator", "indicator", "lag", "sum", "named", "negative"]
            if depth
            else ["price", "indicator"]
        )
    )
    match kind:
        case "price":
            return Price(draw(st.sampled_from(COLUMNS)))
        case "indicator":
            return draw(indicators())
        case "lag":
            return Lag(draw(expressions(depth=depth - 1)), draw(st.sampled_from([1, 1, 2, 3, 5, 15])))
        case "negative":
            return Negative(draw(expressions(depth=depth - 1)))
        case "named":
            inner = draw(expressions(depth=depth - 1))
            return Named(f"n_{zlib.crc32(repr(inner).encode()) % 1000}", inner)
    right = draw(st.one_of(numbers(), expressions(depth=depth - 1)))
    return Arithmetic(draw(st.sampled_from(["+", "-", "*", "/"])), draw(expressions(depth=depth - 1)), right)


@st.composite
def trends(draw: st.DrawFn) -> Condition:
    """Conditions that hold now and then, so that there are trades."""
    name = draw(st.sampled_from(["SMA", "EMA", "WMA"]))
    average = Indicator(name, (("period", draw(_argument(CATALOGUE[name].arguments[0]))),), Price("Close"))
    if draw(st.booleans()):
        return Cross(draw(st.sampled_from(["above", "below"])), Price("Close"), average)
    return Compare(draw(st.sampled_from(["<", ">", "<=", ">="])), Price("Close"), average)


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> Condition:
    kind = draw(
        st.sampled_from(
            ["trend", "trend", "compare", "cross", "not", "and", "or"]
            if depth
            else ["trend", "compare", "cross"]
        )
    )
    match kind:
        case "trend":
            return draw(trends())
        case "compare":
            operator = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
            return Compare(operator, draw(expressions()), draw(st.one_of(numbers(), expressions(depth=1))))
        case "cross":
            direction = draw(st.sampled_from(["above", "below"]))
            return Cross(
                direction, draw(expressions(depth=1)), draw(st.one_of(numbers(), expressions(depth=1)))
            )
        case "not":
            return Not(draw(conditions(depth=depth - 1)))
    parts = draw(st.lists(conditions(depth=depth - 1), min_size=2, max_size=3))
    return Logic("and" if kind == "and" else "or", tuple(parts))


def _distances(*, trail: bool = False) -> st.SearchStrategy[str | None]:
    kinds = [
        "1%",
        "3%",
        "12%",
        "150%",
        "2 ATR(5)",
        "0.5 ATR(14)",
        "60 ATR(3)",
        "distance 1.25",
        "distance 90",
    ]
    return st.sampled_from([None, None, None, *kinds, *([] if trail else ["price 95.5", "price 104"])])


@st.composite
def definitions(draw: st.DrawFn) -> tuple[StrategyDefinition, Rulebook]:
    """A definition and its rulebook. The texts of the rules only label them."""
    sides = draw(st.sampled_from(["long", "short", "both"]))
    lists: dict[str, tuple[Rule, ...]] = {"entry": (), "exit": (), "short_entry": (), "short_exit": ()}
    for side, prefix in (("long", ""), ("short", "short_")):
        if sides in (side, "both"):
            for kind, least in (("entry", 1), ("exit", 0 if sides == "both" else 1)):
                first = trends() if kind == "entry" and draw(st.integers(0, 3)) else conditions()
                drawn = [draw(first)] if least or draw(st.booleans()) else []
                drawn += draw(st.lists(conditions(), max_size=2 if kind == "exit" else 1))
                lists[prefix + kind] = tuple(
                    Rule(f"{prefix}{kind}_rules[{index}]", f"drawn {index}", condition)
                    for index, condition in enumerate(drawn)
                )
    stop = draw(_distances())
    named_stop = draw(st.booleans())
    risk: dict[str, Any] = {
        "stop_loss": {"kind": "percent", "value": "stop"} if stop and named_stop else stop,
        "take_profit": draw(_distances()),
        "trailing_stop": draw(_distances(trail=True)),
        "max_holding_bars": draw(st.sampled_from([None, None, 1, 2, 7, "hold"])),
        "max_position": draw(st.sampled_from([None, None, 33.0, 100.0, 0.5])),
    }
    sizings = [
        ("percent_of_equity", 95.0),
        ("percent_of_equity", 100.0),
        ("percent_of_equity", 12.5),
        ("fixed_units", 10.0),
        ("fixed_units", 9_500.0),
        ("fixed_cash", 2_500.0),
        ("fixed_cash", 10.0),
        ("fixed_cash", 2e6),
        *([("risk_percent", 1.0), ("risk_percent", 50.0)] if stop else []),
    ]
    mode, value = draw(st.sampled_from(sizings))
    definition = StrategyDefinition.model_validate(
        {
            "name": "Drawn",
            "symbol": "TEST",
            "parameters": PARAMETERS,
            "entry_rules": [rule.text for rule in lists["entry"]],
            "exit_rules": [rule.text for rule in lists["exit"]],
            "short_entry_rules": [rule.text for rule in lists["short_entry"]],
            "short_exit_rules": [rule.text for rule in lists["short_exit"]],
            "position_sizing": {"mode": mode, "value": value},
            "risk_limits": {key: value for key, value in risk.items() if value is not None},
        }
    )
    return definition, Rulebook(**lists)
