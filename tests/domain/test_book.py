"""The account run again from the orders: the same trades and figures as backtesting.py's, and what isn't is named."""

import json
import math
from collections.abc import Callable
from typing import Any

import backtesting.test
import pandas as pd
import pytest
import talib
from backtesting import Strategy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.book import MOST_ORDERS, Replayed, compare_figures, compare_with_replay, read_book, replay
from domain.compiler import compile_strategy
from domain.risk_honoured import broken_limits
from domain.rules.ast import Rulebook
from domain.scoring import ClaimError
from harness.engine import run_backtest
from schemas.definition import StrategyDefinition
from schemas.trading import Costs, Side, Trade
from tests.domain.drawing import bars as drawn_bars
from tests.domain.drawing import definitions
from tests.domain.running import load, quietly
from tests.domain.test_expected import CHARGES, flat, quotes

GOOG = backtesting.test.GOOG.astype(float).iloc[:900]
COSTS = Costs(commission=0.001, spread=0.002, slippage=0.0005)


def reported(strategy: type, bars: pd.DataFrame, costs: Costs) -> dict[str, Any]:
    """What a trial says, after its way through the pipe."""
    with quietly():
        said = run_backtest(bars, strategy, costs.cash, costs.commission, costs.at_entry)
    found: dict[str, Any] = json.loads(json.dumps(said), parse_constant=lambda _: None)
    return found


def agreed(strategy: type, bars: pd.DataFrame, costs: Costs) -> list[Trade]:
    """The trades, once the account run again agrees with all that is said of them."""
    said = reported(strategy, bars, costs)
    trades = [Trade.model_validate(trade) for trade in said["trades"]]
    again = replay(read_book(said["book"], len(bars)), bars, costs)
    assert compare_with_replay(trades, again.trades) == []
    assert compare_figures(said["stats"], again, bars, costs) == []
    return trades


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(definitions(), drawn_bars, st.sampled_from(CHARGES), st.sampled_from([1e6, 1e4, 150.0]))
def test_generated_code_is_verified_and_keeps_its_limits(
    drawn: tuple[StrategyDefinition, Rulebook],
    bars: pd.DataFrame,
    charges: tuple[float, float, float],
    cash: float,
) -> None:
    commission, spread, slippage = charges
    costs = Costs(cash=cash, commission=commission, spread=spread, slippage=slippage)
    trades = agreed(load(compile_strategy(*drawn)), bars, costs)
    assert broken_limits(trades, *drawn, bars, costs) == []


# Orders that generated code doesn't place


def acting(step: Callable[[Any, int], None]) -> type:
    class Acting(Strategy):
        def init(self) -> None:
            self.rsi = self.I(talib.RSI, self.data.Close, 5)

        def next(self) -> None:
            step(self, len(self.data) - 1)

    return Acting


def limits_and_cancels(self: Any, bar: int) -> None:
    price = self.data.Close[-1]
    for order in self.orders:
        if not order.is_contingent and bar % 3 == 0:
            order.cancel()
    if not self.position and not self.orders:
        self.buy(size=0.5, limit=0.99 * price, sl=0.95 * price, tp=1.04 * price)


def stop_entries(self: Any, bar: int) -> None:
    price = self.data.Close[-1]
    if not self.position and not self.orders:
        if bar % 2:
            self.buy(size=0.3, stop=1.01 * price, tp=1.015 * price, sl=0.97 * price)
        else:
            self.sell(size=20, stop=0.995 * price, sl=1.02 * price, tp=0.985 * price)


def stop_limits(self: Any, bar: int) -> None:
    price = self.data.Close[-1]
    if bar % 8 == 0:
        for order in self.orders:
            order.cancel()
    if not self.position and not self.orders:
        self.buy(size=10, stop=1.002 * price, limit=(0.999 + 0.004 * (bar % 2)) * price)
    elif self.position and self.rsi[-1] > 60:
        self.position.close()


def turned_round(self: Any, bar: int) -> None:
    """A larger order the other way, without a close."""
    if self.rsi[-1] < 30 and not self.position.is_long:
        self.buy(size=40 if self.position else 20)
    elif self.rsi[-1] > 70 and not self.position.is_short:
        self.sell(size=40 if self.position else 20)


def moved_levels(self: Any, bar: int) -> None:
    price = self.data.Close[-1]
    for trade in self.trades:
        if bar % 5 == 0:
            trade.tp = 1.03 * price
        if bar % 7 == 0:
            trade.sl = 0.97 * price
        if bar % 31 == 0:
            trade.close()
    if not self.position and self.rsi[-1] < 50:
        self.buy(size=0.8)


@pytest.mark.parametrize("step", [limits_and_cancels, stop_entries, stop_limits, turned_round, moved_levels])
@pytest.mark.parametrize("costs", [Costs(), COSTS])
def test_every_kind_of_order_is_followed(step: Callable[[Any, int], None], costs: Costs) -> None:
    assert len(agreed(acting(step), GOOG, costs)) > 5


def test_ruin_is_followed() -> None:
    def short_and_wait(self: Any, bar: int) -> None:
        if bar == 8:
            self.sell(size=0.99)

    bars = flat(10, 10, 11, 10, 11, 10, 10, 11, 10, 10, 10, 25, 26, 27)
    (trade,) = agreed(acting(short_and_wait), bars, Costs(cash=1000))
    assert (trade.exit_bar, trade.exit_price) == (11, 25)


@pytest.mark.parametrize("last", [11, 12, 13])
def test_orders_of_the_last_closes_are_followed(last: int) -> None:
    def late(self: Any, bar: int) -> None:
        if bar == last:
            self.buy(size=0.5)

    agreed(acting(late), flat(10, 10, 11, 10, 11, 10, 10, 11, 10, 10, 10, 11, 12, 13), Costs(commission=0.01))


# What is refused


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        [1],
        [[1]],
        [[True, []]],
        [[-1, []]],
        [[11, []]],
        [[2, []], [2, []]],
        [[1, []]] * 12,
        [[1.5, []]],
        [[1, [[1, None, None, None, None]]]],
        [[1, [[1, None, None, None, None, 0]]]],
        [[1, [[None, None, None, None, None, False]]]],
        [[1, [[0, None, None, None, None, False]]]],
        [[1, [["1", None, None, None, None, False]]]],
        [[1, [[math.nan, None, None, None, None, False]]]],
        [[1, [[1, math.inf, None, None, None, False]]]],
        [[1, [[10**400, None, None, None, None, False]]]],
        [[1, [[1, None, None, None, None, False]] * (MOST_ORDERS + 1)]],
    ],
)
def test_a_book_that_cannot_be_is_refused(raw: Any) -> None:
    with pytest.raises(ClaimError):
        read_book(raw, 10)


BARS = flat(10, 11, 12, 13, 14, 15)


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([[1, [[5, None, None, None, None, False]]], [2, []]], "the long of bar 1 was never closed"),
        ([[1, [[5.5, None, None, None, None, False]]]], "5.5 units, not a whole number"),
        (
            [[1, [[5, None, None, None, None, False]]], [2, [[-2, None, None, None, None, True]]]],
            "only part of a position",
        ),
        (
            [[1, [[5, None, None, None, None, False]]], [2, [[-2, None, None, None, None, False]]]],
            "only part of a position",
        ),
    ],
)
def test_orders_that_cannot_be_followed_are_refused(pages: Any, said: str) -> None:
    with pytest.raises(ClaimError, match=said):
        replay(read_book(pages, len(BARS)), BARS, Costs())


@pytest.mark.parametrize("stop", [-5.0, 1e-308, 5e-324])
def test_a_stop_far_from_every_price_is_refused(stop: float) -> None:
    """With a limit the engine fills it at the stop: a price that no units can be counted by."""
    pages = [[1, [[0.5, 20.0, stop, None, None, False]]], [2, [[-9e14, None, None, None, None, True]]]]
    with pytest.raises(ClaimError, match=r"bar 1: an order that fills at \S+ can't be followed"):
        replay(read_book(pages, len(BARS)), BARS, Costs())


def test_adding_to_a_position_is_refused() -> None:
    pages = [[1, [[5, None, None, None, None, False]]], [2, [[7, None, None, None, None, False]]]]
    with pytest.raises(
        ClaimError, match=r"bar 2: an order adds to the long of bar 1; one position at a time"
    ):
        replay(read_book(pages, len(BARS)), BARS, Costs())


def test_what_differs_is_named_with_both_values() -> None:
    real = Trade(side=Side.LONG, size=5, entry_bar=1, exit_bar=3, entry_price=10, exit_price=12)
    assert compare_with_replay([real], [real]) == []
    (line,) = compare_with_replay([real.model_copy(update={"exit_price": 13.0})], [real])
    assert line == "trade 1 (long, bars 1 to 3): exit_price is claimed 13, recomputed from the orders 12"
    (line,) = compare_with_replay([real, real], [real])
    assert line == "trade 2 (long, bars 1 to 3) is claimed, but no order accounts for it"
    (line,) = compare_with_replay([], [real])
    assert line == "0 trades are claimed, but the orders come to 1: the long of bars 1 to 3 is left out"


@pytest.mark.parametrize("said", [None, "much", True, 1e300, [1], 10**400])
def test_figures_are_read_with_suspicion(said: Any) -> None:
    again = Replayed([], 1e6)
    right = {"trades": 0, "equity_final": 1e6, "return_pct": 0, "max_drawdown_pct": 0, "exposure_pct": 0}
    assert compare_figures(right, again, BARS, Costs()) == []
    (line,) = compare_figures(right | {"equity_final": said}, again, BARS, Costs())
    assert line.startswith("final equity: claimed ")
    assert line.endswith(", recomputed 1000000")
    assert len(line) < 80


def test_a_fill_within_a_bar_is_at_the_level_or_the_open_beyond_it() -> None:
    bars = quotes((10, 10, 10, 10), (10, 10, 10, 10), (10, 12, 8, 11), (7, 7, 6, 7), (7, 7, 7, 7))
    entry = [5.0, None, None, None, None, False]
    stop = [-5.0, None, 9.0, None, None, True]
    inside = replay(read_book([[1, [entry]], [2, [stop]], [3, []]], 5), bars, Costs())
    beyond = replay(read_book([[2, [entry]], [3, [stop]], [4, []]], 5), bars, Costs())
    assert [trade.exit_price for trade in inside.trades] == [9]
    assert [trade.exit_price for trade in beyond.trades] == [7]
