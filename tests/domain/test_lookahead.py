"""Cuts and comparisons; whole strategies are in tests/services/test_trying.py."""

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.lookahead import Seen, choose_cuts, compare, read_seen, suspicious_lines
from domain.lookahead.cuts import CUTS, LEAST, MOST_BARS
from domain.scoring import ClaimError
from schemas.sandbox import RunResult, TrialError, TrialResult
from schemas.trading import Costs, ExpectedTrade, Side
from tests.domain.drawing import random_bars

BARS = random_bars(3, 40)
RUN = RunResult(exit_code=0)
BUY = [0.5, None, None, None, None, False]


def expected(entry_bar: int, exit_bar: int) -> ExpectedTrade:
    return ExpectedTrade(
        side=Side.LONG,
        size=1,
        entry_bar=entry_bar,
        exit_bar=exit_bar,
        entry_price=1,
        exit_price=1,
        entry_reason="",
        exit_reason="",
    )


# Cuts


@given(st.text(max_size=20), st.integers(0, 500_000), st.lists(st.integers(0, 500_000), max_size=30))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_cuts_are_within_the_data_few_and_repeatable(seed: str, length: int, hints: list[int]) -> None:
    trades = [expected(bar, bar) for bar in hints]
    cuts = choose_cuts(seed, length, trades)
    assert cuts == choose_cuts(seed, length, trades)
    assert cuts == sorted(set(cuts))
    assert all(2 <= cut < length for cut in cuts)
    assert len(cuts) <= CUTS
    assert len(cuts) <= LEAST or sum(cuts) <= MOST_BARS + 2 * length
    assert cuts or length < 3


def test_cuts_lie_where_the_rules_decide_and_early_and_differ_by_seed() -> None:
    trades = [expected(bar, bar + 7) for bar in range(300, 2000, 40)]
    decided = {bar for trade in trades for bar in (trade.entry_bar, trade.exit_bar)}
    for seed in "abcdefgh":
        cuts = choose_cuts(seed, 2148, trades)
        assert len(decided & set(cuts)) >= 2
        assert cuts[0] < 2148 // 4
    assert len({tuple(choose_cuts(seed, 2148, trades)) for seed in "abcdefgh"}) == 8


# Comparison


def trial(length: int, book: list[Any] | None = None, **values: Any) -> TrialResult:
    return TrialResult(
        run=RUN,
        trades=[],
        book=book or [],
        indicators=[
            {"name": name, "rows": 1, "values": encoded(np.asarray(series, dtype=float)[:length])}
            for name, series in values.items()
        ],
    )


def encoded(values: Any) -> str:
    return base64.b64encode(np.asarray(values, dtype="<f8").tobytes()).decode()


def seen(length: int, *args: Any, **values: Any) -> Seen:
    return read_seen(trial(length, *args, **values), BARS.iloc[:length], Costs())


RISING = np.arange(40.0)
WARMING = np.where(np.arange(40) < 30, np.nan, 1.0)


def test_the_same_is_the_same() -> None:
    book = [[5, [BUY]], [6, []]]
    assert compare(seen(20, book, line=RISING), seen(40, book, line=RISING), BARS) == []


def test_rounding_is_no_peek() -> None:
    noisy = RISING * (1 + 1e-12)
    assert compare(seen(20, [[5, [BUY]]], line=noisy), seen(40, [[5, [BUY]]], line=RISING), BARS) == []


def test_an_indicator_that_changes_is_named_with_its_first_bar() -> None:
    changed = RISING.copy()
    changed[17:] += 1
    (peek,) = compare(seen(20, line=RISING), seen(40, line=changed), BARS) or []
    assert (peek.bar, peek.indicator) == (17, "line")
    assert peek.text == (
        "bar 17 (2020-01-18): indicator line is 17 with the bars up to 19 (2020-01-20) only, and 18 with all of them"
    )


def test_of_an_indicator_with_lines_the_one_that_changed_is_shown() -> None:
    """However small its values are."""

    def two(length: int, second: float) -> Seen:
        rows = np.array([np.full(length, 1e-9), np.full(length, second)])
        result = trial(length).model_copy(
            update={"indicators": [{"name": "tiny", "rows": 2, "values": encoded(rows)}]}
        )
        return read_seen(result, BARS.iloc[:length], Costs())

    (peek,) = compare(two(20, 2e-9), two(40, 3e-9), BARS) or []
    assert "indicator tiny is 2e-09 with" in peek.text
    assert peek.text.endswith("and 3e-09 with all of them")


def test_orders_before_the_first_bar_are_shown_at_it() -> None:
    (peek,) = compare(seen(20), seen(40, [[0, [BUY]], [1, []]]), BARS) or []
    assert peek.bar == 0
    assert peek.text.startswith("bar 0 ")


def test_warm_up_is_not_accused() -> None:
    """The engine begins at once where an indicator has no value at all: what it does then says nothing."""
    hasty = [[2, [BUY]], [3, []]]
    assert compare(seen(20, hasty, line=WARMING), seen(40, [[31, [BUY]]], line=WARMING), BARS) is None


def test_what_was_filled_backwards_is_accused_in_the_warm_up() -> None:
    filled = np.ones(40)
    (peek,) = compare(seen(20, line=WARMING), seen(40, line=filled), BARS) or []
    assert "indicator line is missing" in peek.text


def test_a_decision_at_the_last_close_is_compared() -> None:
    """Its fill would be in the next bar, which isn't there."""
    (peek,) = compare(seen(20), seen(40, [[20, [BUY]], [21, []]]), BARS) or []
    assert peek.bar == 19
    assert "at its close" in peek.text
    assert "the orders are none; with all of them buy 0.5 of the money" in peek.text
    assert compare(seen(20), seen(40, [[21, [BUY]], [22, []]]), BARS) == []


def test_fills_that_differ_for_the_same_orders() -> None:
    book = [[5, [BUY]], [6, []]]
    price = float(BARS.Open.iloc[5])
    trade = {"side": "long", "size": 10, "entry_bar": 5, "exit_bar": 9, "entry_price": price}
    whole = read_seen(
        trial(40, book).model_copy(update={"trades": [trade | {"exit_price": float(BARS.Open.iloc[9])}]}),
        BARS,
        Costs(),
    )
    better = {"exit_price": float(BARS.High.iloc[9])}
    part = read_seen(trial(20, book).model_copy(update={"trades": [trade | better]}), BARS.iloc[:20], Costs())
    (peek,) = compare(part, whole, BARS) or []
    assert peek.bar == 5
    (gone,) = compare(seen(20, book), whole, BARS) or []
    assert "0 trades had ended; with all of them 1" in gone.text


def test_a_failure_on_a_part_says_something_only_if_there_was_a_decision() -> None:
    failed = TrialResult(run=RUN, error=TrialError(stage="run", type="IndexError", message="too few"))
    part = read_seen(failed, BARS.iloc[:20], Costs())
    assert compare(part, seen(40, [[30, [BUY]]]), BARS) is None
    (peek,) = compare(part, seen(40, [[12, [BUY]]]), BARS) or []
    assert "the strategy fails (IndexError: too few)" in peek.text


@pytest.mark.parametrize(
    "indicator",
    [
        None,
        "line",
        {},
        {"name": "line", "rows": 1, "values": "not base64 ü"},
        {"name": "line", "rows": 1, "values": encoded(RISING[:7])},
        {"name": "line", "rows": 0, "values": ""},
        {"name": "line", "rows": "1", "values": encoded(RISING)},
        {"name": 7, "rows": 1, "values": encoded(RISING)},
        {"name": "line", "rows": 10**9, "values": encoded(RISING)},
    ],
)
def test_indicators_are_read_with_suspicion(indicator: Any) -> None:
    with pytest.raises(ClaimError):
        read_seen(TrialResult(run=RUN, trades=[], indicators=[indicator]), BARS, Costs())


def test_open_trades_are_read_with_suspicion() -> None:
    for bad in (None, {}, {"side": "up"}, {"side": "long", "size": 1e9, "entry_bar": 3, "entry_price": 1.0}):
        with pytest.raises(ClaimError):
            read_seen(TrialResult(run=RUN, trades=[], open=[bad]), BARS, Costs())


# Lines

CODE = """
class S:
    def init(self):
        self.later, other = self.I(lambda x: x, self.data.Close), 2
        series.shift(-1)
        series.shift(1)
        series.rolling(5, center=True)
        series.rolling(5, center=False)
        series.fillna(method="bfill")
        np.polyfit(x, y, 3)
        self.data.df
        frame.df
"""


def test_lines_that_may_be_the_reason() -> None:
    lines = suspicious_lines(CODE, {"later"})
    assert [line.partition(":")[0] for line in lines] == [f"line {number}" for number in (4, 5, 7, 9, 10, 11)]
    assert suspicious_lines(CODE, set())[0].startswith("line 5: shift by a negative number")


@pytest.mark.parametrize("code", ["", "def (", "\0", "x = " + "(" * 5000])
def test_what_is_no_code_has_no_lines(code: str) -> None:
    assert suspicious_lines(code, {"x"}) == []
