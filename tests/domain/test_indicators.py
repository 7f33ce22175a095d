"""Every indicator beside TA-Lib: the same numbers, the same missing ones."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib
from backtesting.test import EURUSD, GOOG
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import indicators
from domain.indicators import compute
from domain.rules.catalogue import CATALOGUE, IndicatorSpec
from tests.domain.drawing import random_bars

OF_TALIB = [spec for spec in CATALOGUE.values() if spec.talib]


def of_talib(spec: IndicatorSpec, args: dict[str, float], inputs: list[Any]) -> tuple[Any, ...]:
    keywords: dict[str, Any] = {
        argument.talib: int(args[argument.name]) if argument.kind == "int" else float(args[argument.name])
        for argument in spec.arguments
    }
    if spec.name == "BBANDS":
        keywords["nbdevdn"] = keywords["nbdevup"]
    result = getattr(talib, str(spec.talib))(*[series.copy() for series in inputs], **keywords)
    return result if isinstance(result, tuple) else (result,)


def inputs_of(spec: IndicatorSpec, bars: pd.DataFrame) -> list[Any]:
    return [bars[column].to_numpy(dtype=float) for column in spec.columns or ("Close",)]


def assert_equal(spec: IndicatorSpec, args: dict[str, float], bars: pd.DataFrame) -> None:
    inputs = inputs_of(spec, bars)
    ours, theirs = compute(spec.name, args, *inputs), of_talib(spec, args, inputs)
    assert len(ours) == len(theirs) == len(spec.lines)
    for line, one, two in zip(spec.lines, ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-8, atol=1e-8, err_msg=f"{spec.name}.{line} {args}")


def constant(length: int) -> pd.DataFrame:
    return pd.DataFrame(
        {column: np.full(length, 100.0) for column in ("Open", "High", "Low", "Close", "Volume")}
    )


@pytest.mark.parametrize("bars", [GOOG, EURUSD, constant(90)], ids=["GOOG", "EURUSD", "constant"])
@pytest.mark.parametrize("spec", OF_TALIB, ids=lambda spec: spec.name)
def test_defaults_and_least_arguments_equal_talib(spec: IndicatorSpec, bars: pd.DataFrame) -> None:
    assert_equal(spec, {argument.name: argument.default for argument in spec.arguments}, bars)
    assert_equal(spec, {argument.name: max(1, argument.minimum) for argument in spec.arguments}, bars)


@pytest.mark.parametrize("spec", OF_TALIB, ids=lambda spec: spec.name)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_walks_and_arguments_equal_talib(spec: IndicatorSpec, data: st.DataObject) -> None:
    args = {
        argument.name: data.draw(
            st.integers(int(argument.minimum), 60) if argument.kind == "int" else st.floats(0.01, 5),
            argument.name,
        )
        for argument in spec.arguments
    }
    length, seed = data.draw(st.integers(1, 200)), data.draw(st.integers(0, 10**6))
    bars = random_bars(seed, length, tick=data.draw(st.sampled_from([0.0, 0.5])))
    bars.iloc[: data.draw(st.integers(0, length))] = np.nan  # as a source that is itself an indicator begins
    if bars.notna().to_numpy().any():
        assert_equal(spec, args, bars)


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_too_little_data_gives_no_values_and_no_error(spec: IndicatorSpec) -> None:
    for length in (0, 1, 2):
        bars = random_bars(1, length)
        args = {argument.name: 50 if argument.kind == "int" else 2.0 for argument in spec.arguments}
        for line in compute(spec.name, args, *inputs_of(spec, bars)):
            assert len(line) == length
            assert np.isnan(line).all() or spec.name in ("ABS", "OBV")


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", ["STDDEV", "BBANDS", "CCI", "RSI", "STOCH", "MFI", "ADX"])
def test_any_unit_of_price_equals_talib(name: str, scale: float) -> None:
    bars = random_bars(7, 150)
    bars[["Open", "High", "Low", "Close"]] *= scale
    spec = CATALOGUE[name]
    args = {argument.name: argument.default for argument in spec.arguments}
    inputs = inputs_of(spec, bars)
    for one, two in zip(compute(name, args, *inputs), of_talib(spec, args, inputs), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-7)


def test_vwap_is_the_mean_typical_price_by_volume() -> None:
    bars = random_bars(3, 60)
    (vwap,) = compute("VWAP", {"period": 5}, *inputs_of(CATALOGUE["VWAP"], bars))
    last = bars.iloc[20:25]
    typical = (last.High + last.Low + last.Close) / 3
    assert vwap[24] == pytest.approx((typical * last.Volume).sum() / last.Volume.sum(), rel=1e-12)
    assert np.isnan(vwap[:4]).all()
    assert not np.isnan(vwap[4])


def test_vwap_without_volume_is_missing_and_comes_back() -> None:
    bars = random_bars(3, 60)
    bars.loc[bars.index[20:26], "Volume"] = 0.0
    (vwap,) = compute("VWAP", {"period": 3}, *inputs_of(CATALOGUE["VWAP"], bars))
    assert np.isnan(vwap[22:26]).all()
    assert not np.isnan(vwap[27])


def test_flat_windows_have_no_deviation() -> None:
    bars = np.full(40, 0.1 + 0.2)
    assert (compute("STDDEV", {"period": 7}, bars)[0][6:] == 0).all()


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        compute("NOPE", {}, np.ones(3))


def test_it_stands_apart_from_talib() -> None:
    trees = [ast.parse(path.read_text()) for path in Path(indicators.__file__).parent.glob("*.py")]
    imported = {
        name.name.split(".")[0]
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert "numpy" in imported
    assert "talib" not in imported
    assert "backtesting" not in imported
