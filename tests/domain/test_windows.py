"""One result, window by window, against figures by hand and against the whole's own metrics."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.scoring import compute_metrics
from domain.windows import KNOWN, UNKNOWN, measure_knowledge, measure_windows
from schemas.trading import Costs, Side, Trade

COSTS = Costs(cash=1000.0)


def bars_of(closes: list[float]) -> pd.DataFrame:
    close = np.array(closes, dtype=float)
    index = pd.date_range("2020-01-01", periods=len(close), freq="D", tz="UTC", name="Date")
    return pd.DataFrame(
        {"Open": close, "High": close + 1, "Low": close - 1, "Close": close, "Volume": 1.0}, index=index
    )


def long(entry: int, leave: int, bars: pd.DataFrame, size: float = 10.0) -> Trade:
    prices = bars["Open"].to_numpy()
    return Trade(
        side=Side.LONG,
        size=size,
        entry_bar=entry,
        exit_bar=leave,
        entry_price=float(prices[entry]),
        exit_price=float(prices[leave]),
    )


def test_a_trade_across_the_seam_by_hand() -> None:
    """100 steady, then 1 up a bar: 10 units from bar 4 (at 100) to bar 8 (at 104), and the seam before bar 6."""
    bars = bars_of([100.0] * 5 + [101.0, 102.0, 103.0, 104.0, 104.0])
    inside, outside, whole, *walk = measure_windows([long(4, 8, bars)], bars, COSTS, held=4)
    assert [window.name for window in walk] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert [(window.first, window.bars) for window in walk] == [(0, 2), (2, 2), (4, 2), (6, 2), (8, 2)]
    assert (inside.name, inside.first, inside.bars, inside.trades, inside.carried) == (
        "in-sample",
        0,
        6,
        1,
        0,
    )
    assert inside.return_pct == pytest.approx(1.0)  # 10 units, 1 up by the last close
    assert inside.exposure_pct == pytest.approx(100 * 2 / 6)
    assert (outside.name, outside.first, outside.bars) == ("out-of-sample", 6, 4)
    assert (outside.trades, outside.carried, outside.win_rate_pct) == (0, 1, None)
    assert outside.return_pct == pytest.approx(100 * (1040 / 1010 - 1))
    assert outside.buy_and_hold_pct == pytest.approx(100 * (104 / 101 - 1))
    assert outside.exposure_pct == pytest.approx(100 * 3 / 4)
    assert outside.max_drawdown_pct == 0.0
    assert (whole.trades, whole.win_rate_pct) == (1, 100.0)
    assert whole.return_pct == pytest.approx(4.0)


def test_a_fall_right_after_the_seam_is_the_holdouts() -> None:
    """The drawdown begins at the last close before the window."""
    bars = bars_of([100.0, 100.0, 100.0, 100.0, 100.0, 90.0, 90.0, 90.0, 90.0, 90.0])
    _, outside, *_ = measure_windows([long(1, 9, bars)], bars, COSTS, held=5)
    assert outside.max_drawdown_pct == pytest.approx(-10.0)
    assert outside.return_pct == pytest.approx(-10.0)


def test_without_a_holdout_there_is_the_whole_and_the_walk() -> None:
    bars = bars_of([100.0] * 50)
    assert [window.name for window in measure_windows([], bars, COSTS)] == [
        "all",
        *(f"{number}/5" for number in range(1, 6)),
    ]
    assert [window.name for window in measure_windows([], bars.iloc[:9], COSTS)] == ["all"]


def test_a_ruined_account_stays_at_nothing() -> None:
    bars = bars_of([100.0] * 5 + [50.0] * 5)
    _, outside, whole, *_ = measure_windows([long(1, 9, bars, size=20.0)], bars, COSTS, held=2)
    assert whole.return_pct == -100.0
    assert (outside.return_pct, outside.sharpe, outside.max_drawdown_pct) == (0.0, None, 0.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(12, 80), st.data())
def test_windows_hang_together(count: int, data: st.DataObject) -> None:
    steps = np.random.default_rng(count).normal(0, 1, count).cumsum()
    bars = bars_of((200 + steps).tolist())
    ends = sorted(data.draw(st.lists(st.integers(1, count - 1), max_size=8, unique=True)))
    trades = [long(one, two, bars, 3.0) for one, two in zip(ends[::2], ends[1::2], strict=False)]
    held = data.draw(st.integers(1, count - 2))
    inside, outside, whole, *walk = measure_windows(trades, bars, COSTS, held)
    metrics = compute_metrics(trades, bars, COSTS)
    for name in ("return_pct", "buy_and_hold_pct", "sharpe", "max_drawdown_pct", "exposure_pct", "trades"):
        assert getattr(whole, name) == pytest.approx(getattr(metrics, name)), name
    for parts in ((inside, outside), walk):
        assert sum(part.bars for part in parts) == count
        assert sum(part.trades for part in parts) == len(trades)
        growth = np.prod([1 + part.return_pct / 100 for part in parts])
        assert growth == pytest.approx(1 + whole.return_pct / 100)
        assert max(-part.max_drawdown_pct for part in parts) <= -whole.max_drawdown_pct + 1e-9


def test_what_a_model_may_have_known_is_told_apart() -> None:
    bars = bars_of([100.0, 101.0, 102.0, 103.0])
    days = [moment.date() for moment in pd.DatetimeIndex(bars.index)]
    both = measure_knowledge([], bars, COSTS, days[1])
    assert [(window.name, window.first, window.bars) for window in both] == [(KNOWN, 0, 2), (UNKNOWN, 2, 2)]
    assert [window.name for window in measure_knowledge([], bars, COSTS, days[-1])] == [KNOWN]
    assert [window.name for window in measure_knowledge([], bars, COSTS, date(1990, 1, 1))] == [UNKNOWN]
