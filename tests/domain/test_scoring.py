"""Claims are read with suspicion; figures are recomputed and beside backtesting.py's own."""

import contextlib
import json
import math
from typing import Any

import backtesting.test
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.compiler import compile_strategy
from domain.definitions import check_definition
from domain.expected import expected_trades
from domain.scoring import (
    MOST_TRADES,
    ClaimError,
    commissions,
    compute_metrics,
    equity_curve,
    read_claims,
    stress_metrics,
    trade_rows,
)
from schemas.trading import Costs, Side, Trade
from tests.domain.drawing import random_bars
from tests.domain.running import run, trades_of

BARS = random_bars(1, 50)
GOOD: dict[str, Any] = {
    "side": "long",
    "size": 10,
    "entry_bar": 5,
    "exit_bar": 9,
    "entry_price": float(BARS.Open.iloc[5]),
    "exit_price": float(BARS.Open.iloc[9]),
}


def claim(**changes: Any) -> list[dict[str, Any]]:
    return [GOOD | changes]


def test_a_possible_claim_is_read() -> None:
    (trade,) = read_claims([GOOD], BARS, Costs())
    assert trade == Trade(**GOOD)
    assert read_claims([], BARS, Costs()) == []


def test_trades_come_in_order_of_entry() -> None:
    later = GOOD | {"entry_bar": 9, "exit_bar": 9, "entry_price": GOOD["exit_price"]}
    assert [trade.entry_bar for trade in read_claims([later, GOOD], BARS, Costs())] == [5, 9]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"side": "up"}, "side is the text 'up'; expected long or short"),
        ({"side": ["long"]}, "side is a list"),
        ({"size": 0}, "size is 0; expected more than 0"),
        ({"size": -3}, "size is -3"),
        ({"size": True}, "size is True; expected a number"),
        ({"size": "10"}, "size is the text '10'; expected a number"),
        ({"size": math.inf}, "size is inf"),
        ({"size": math.nan}, "size is nan"),
        ({"size": 10**5000}, "size is an enormous number"),
        ({"size": None}, "size is None"),
        ({"entry_bar": 5.0}, "entry_bar is 5.0; expected a whole number"),
        ({"entry_bar": -1}, "entry_bar is -1; there are bars 0 to 49"),
        ({"exit_bar": 50}, "exit_bar is 50; there are bars 0 to 49"),
        ({"exit_bar": 10**5000}, "exit_bar is an enormous number"),
        ({"exit_bar": 4}, "leaves at bar 4, before it enters at bar 5"),
        ({"entry_price": math.nan}, "entry_price is nan"),
        ({"entry_price": {}}, "entry_price is a dict"),
        ({"exit_price": 1e6}, r"exit_price is 1000000, but bar 9 went from [\d.]+ to [\d.]+"),
        ({"entry_price": GOOD["entry_price"] * 1.5}, "entry_price is .*, but bar 5 went from"),
        ({"size": 1e9}, "but there was only 1000000.00"),
    ],
)
def test_impossible_claims_are_refused_and_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ClaimError, match=f"trade 1.*{said}"):
        read_claims(claim(**changes), BARS, Costs())


def test_missing_keys_overlaps_and_floods_are_refused() -> None:
    with pytest.raises(ClaimError, match="trade 1 has no exit_price"):
        read_claims([{key: value for key, value in GOOD.items() if key != "exit_price"}], BARS, Costs())
    with pytest.raises(ClaimError, match="trade 2 is None"):
        read_claims([GOOD, None], BARS, Costs())  # type: ignore[list-item]
    with pytest.raises(ClaimError, match="the trades are a dict"):
        read_claims({}, BARS, Costs())  # type: ignore[arg-type]
    with pytest.raises(ClaimError, match=r"trade 2 \(bars 5 to 9\) overlaps trade 1"):
        read_claims([GOOD, GOOD], BARS, Costs())
    inside = GOOD | {"entry_bar": 7, "entry_price": float(BARS.Open.iloc[7])}
    with pytest.raises(ClaimError, match=r"trade 2 .* overlaps trade 1"):
        read_claims([GOOD, inside], BARS, Costs())
    with pytest.raises(ClaimError, match=f"at most {MOST_TRADES} are read"):
        read_claims([GOOD] * (MOST_TRADES + 1), BARS, Costs())


def test_only_the_last_bar_may_see_two_entries() -> None:
    def twice(bar: int) -> list[dict[str, Any]]:
        price = float(BARS.Open.iloc[bar])
        return [GOOD | {"entry_bar": bar, "exit_bar": bar, "entry_price": price, "exit_price": price}] * 2

    assert len(read_claims(twice(49), BARS, Costs())) == 2, "backtesting.py does this as it finalises trades"
    with pytest.raises(ClaimError, match="overlaps"):
        read_claims(twice(48), BARS, Costs())


def test_a_message_is_short_whatever_was_claimed() -> None:
    with pytest.raises(ClaimError) as caught:
        read_claims(claim(side="x" * 10**6), BARS, Costs())
    assert len(str(caught.value)) < 120


def test_a_price_within_rounding_of_its_bar_is_believed() -> None:
    high = float(BARS.High.iloc[9])
    assert read_claims(claim(exit_price=high * (1 + 1e-12)), BARS, Costs())
    with pytest.raises(ClaimError):
        read_claims(claim(exit_price=high * (1 + 1e-6)), BARS, Costs())


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 60)
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["long", "short", GOOD["entry_price"]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.builds(
            lambda changes: GOOD | changes,
            st.dictionaries(st.sampled_from(sorted(GOOD)), ANYTHING, max_size=6),
        )
        | ANYTHING,
        max_size=4,
    )
    | ANYTHING
)
def test_nothing_hostile_gets_through_or_crashes(raw: Any) -> None:
    trades: list[Trade] = []
    with contextlib.suppress(ClaimError):
        trades = read_claims(raw, BARS, Costs())
    compute_metrics(trades, BARS, Costs()).model_dump_json()
    assert all(0 <= trade.entry_bar <= trade.exit_bar < len(BARS) for trade in trades)


def test_deeply_nested_claims_are_refused() -> None:
    nested: Any = 1
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(ClaimError, match="size is a list"):
        read_claims(claim(size=nested), BARS, Costs())


# Figures

RULES: list[dict[str, Any]] = [
    {"entry_rules": ["RSI(6) < 45"], "exit_rules": ["RSI(6) > 60"], "risk_limits": {"stop_loss": "5%"}},
    {
        "entry_rules": ["EMA(10) > EMA(30)"],
        "short_entry_rules": ["EMA(10) < EMA(30)"],
        "position_sizing": {"value": 40},
    },
    {
        "entry_rules": ["Close > SMA(5)"],
        "exit_rules": ["Close < SMA(5)"],
        "risk_limits": {"take_profit": "3%"},
    },
]


@pytest.mark.parametrize("costs", [Costs(), Costs(commission=0.002, spread=0.001, slippage=0.0005)])
@pytest.mark.parametrize("name", ["GOOG", "EURUSD", "BTCUSD"])
@pytest.mark.parametrize("rules", RULES)
def test_figures_equal_those_of_backtesting(rules: dict[str, Any], name: str, costs: Costs) -> None:
    bars = getattr(backtesting.test, name).astype(float).iloc[:1500]
    checked = check_definition({"name": "Test", "symbol": name} | rules)
    stats = run(compile_strategy(checked.definition, checked.rulebook), bars, costs)
    trades = trades_of(stats)
    metrics = compute_metrics(trades, bars, costs)
    assert trades
    for ours, theirs in [
        (metrics.equity_final, "Equity Final [$]"),
        (metrics.return_pct, "Return [%]"),
        (metrics.max_drawdown_pct, "Max. Drawdown [%]"),
        (metrics.win_rate_pct, "Win Rate [%]"),
        (metrics.profit_factor, "Profit Factor"),
        (metrics.sqn, "SQN"),
        (metrics.expectancy_pct, "Expectancy [%]"),
        (metrics.exposure_pct, "Exposure Time [%]"),
        (metrics.best_trade_pct, "Best Trade [%]"),
        (metrics.worst_trade_pct, "Worst Trade [%]"),
        (metrics.avg_trade_pct, "Avg. Trade [%]"),
        (metrics.cagr_pct, "CAGR [%]"),
        (metrics.trades, "# Trades"),
    ]:
        assert ours == pytest.approx(stats[theirs], rel=1e-7, abs=1e-9), theirs
    assert commissions(trades, costs) == pytest.approx(stats.get("Commissions [$]", 0.0))
    curve = equity_curve(trades, bars, costs)
    np.testing.assert_allclose(curve.to_numpy(), stats._equity_curve.Equity.to_numpy(), rtol=1e-9)
    assert metrics.buy_and_hold_pct == pytest.approx((bars.Close.iloc[-1] / bars.Close.iloc[0] - 1) * 100)


def test_risk_figures_by_their_formulas() -> None:
    trades = read_claims([GOOD], BARS, Costs())
    metrics = compute_metrics(trades, BARS, Costs())
    returns = equity_curve(trades, BARS, Costs()).pct_change().dropna()
    per_year = 365.25  # one bar a day
    assert metrics.volatility_pct == pytest.approx(returns.std() * math.sqrt(per_year) * 100)
    assert metrics.sharpe == pytest.approx(returns.mean() / returns.std() * math.sqrt(per_year))
    below = math.sqrt((returns.clip(upper=0) ** 2).mean())
    assert metrics.sortino == pytest.approx(returns.mean() / below * math.sqrt(per_year))
    assert metrics.cagr_pct is not None
    assert metrics.calmar == pytest.approx(metrics.cagr_pct / -metrics.max_drawdown_pct)


def test_sharpe_is_near_that_of_backtesting_on_daily_bars() -> None:
    bars = backtesting.test.GOOG.astype(float)
    checked = check_definition({"name": "Test", "symbol": "GOOG"} | RULES[1])
    stats = run(compile_strategy(checked.definition, checked.rulebook), bars, Costs())
    metrics = compute_metrics(trades_of(stats), bars, Costs())
    assert metrics.sharpe == pytest.approx(stats["Sharpe Ratio"], abs=0.15)
    assert metrics.volatility_pct == pytest.approx(
        stats["Volatility (Ann.) [%]"], rel=0.15
    ), "theirs compounds"


HAND = pd.DataFrame(
    {column: [100.0, 100, 110, 99, 120, 120] for column in ("Open", "High", "Low", "Close")},
    index=pd.date_range("2024-01-01", periods=6),
)
ROUND_TRIPS = [
    Trade(side=Side.LONG, size=5, entry_bar=1, exit_bar=2, entry_price=100, exit_price=110),
    Trade(side=Side.LONG, size=5, entry_bar=2, exit_bar=3, entry_price=110, exit_price=99),
    Trade(side=Side.SHORT, size=2, entry_bar=3, exit_bar=4, entry_price=99, exit_price=120),
]


def test_every_figure_by_hand() -> None:
    """Profits 50, -55, -42 on 1000; the account at the closes: 1000, 1000, 1050, 995, 953, 953; five days."""
    metrics = compute_metrics(ROUND_TRIPS, HAND, Costs(cash=1000))
    returns = [0, 0.05, -55 / 1050, -42 / 995, 0]
    mean, years = sum(returns) / 5, 5 / 365.25
    deviation = math.sqrt(sum((value - mean) ** 2 for value in returns) / 4)
    below = math.sqrt((returns[2] ** 2 + returns[3] ** 2) / 5)
    assert metrics.equity_final == 953
    assert metrics.return_pct == pytest.approx(-4.7)
    assert metrics.buy_and_hold_pct == pytest.approx(20)
    assert metrics.cagr_pct == pytest.approx((0.953 ** (1 / years) - 1) * 100)
    assert metrics.volatility_pct == pytest.approx(deviation * math.sqrt(365.25) * 100)
    assert metrics.sharpe == pytest.approx(mean / deviation * math.sqrt(365.25))
    assert metrics.sortino == pytest.approx(mean / below * math.sqrt(365.25))
    assert metrics.max_drawdown_pct == pytest.approx((953 / 1050 - 1) * 100)
    assert metrics.max_drawdown_bars == 3
    assert metrics.calmar == pytest.approx(metrics.cagr_pct / -metrics.max_drawdown_pct)
    assert metrics.exposure_pct == pytest.approx(400 / 6)
    assert metrics.trades == 3
    assert metrics.win_rate_pct == pytest.approx(100 / 3)
    trade_returns = [0.1, -0.1, -21 / 99]
    assert metrics.profit_factor == pytest.approx(0.1 / (0.1 + 21 / 99))
    assert metrics.expectancy_pct == pytest.approx(sum(trade_returns) / 3 * 100)
    profits = [50, -55, -42]
    average = sum(profits) / 3
    spread = math.sqrt(sum((value - average) ** 2 for value in profits) / 2)
    assert metrics.sqn == pytest.approx(math.sqrt(3) * average / spread)
    assert metrics.best_trade_pct == pytest.approx(10)
    assert metrics.worst_trade_pct == pytest.approx(-2100 / 99)
    assert metrics.avg_trade_pct == pytest.approx(((1.1 * 0.9 * (78 / 99)) ** (1 / 3) - 1) * 100)
    assert (metrics.avg_trade_bars, metrics.max_trade_bars) == (1, 1)
    assert (metrics.max_wins_in_row, metrics.max_losses_in_row) == (1, 2)


def test_twice_the_costs_by_hand() -> None:
    """Spread and slippage of 2 % together move an entry at 100 to 102, and doubled to 104; a short's from 98 to 96."""
    costs = Costs(cash=1000, commission=0.01, spread=0.01, slippage=0.005)
    trades = [
        Trade(side=Side.LONG, size=5, entry_bar=1, exit_bar=2, entry_price=102, exit_price=110),
        Trade(side=Side.SHORT, size=2, entry_bar=3, exit_bar=4, entry_price=99 * 0.98, exit_price=120),
    ]
    stressed = stress_metrics(trades, HAND, costs)
    assert stressed is not None
    first = 5 * (110 - 104) - 0.02 * 5 * (104 + 110)
    second = 2 * (99 * 0.96 - 120) - 0.02 * 2 * (99 * 0.96 + 120)
    assert stressed.equity_final == pytest.approx(1000 + first + second)
    assert stressed.trades == 2
    assert stress_metrics(trades, HAND, Costs(cash=1000)) is None


def test_a_spread_moves_the_range_of_entries_only() -> None:
    costs = Costs(spread=0.01)
    opened = GOOD["entry_price"]
    assert read_claims(claim(entry_price=opened * 1.01), BARS, costs)
    with pytest.raises(ClaimError, match=r"entry_price is .* with the spread"):
        read_claims(claim(entry_price=float(BARS.Low.iloc[5])), BARS, costs)
    with pytest.raises(ClaimError, match="exit_price"):
        read_claims(
            claim(entry_price=opened * 1.01, exit_price=float(BARS.High.iloc[9]) * 1.005), BARS, costs
        )
    short = claim(side="short", entry_price=opened * 0.99)
    assert read_claims(short, BARS, costs)


def test_no_trades() -> None:
    metrics = compute_metrics([], BARS, Costs(cash=500))
    assert (metrics.trades, metrics.equity_final, metrics.return_pct, metrics.exposure_pct) == (0, 500, 0, 0)
    assert metrics.max_drawdown_pct == 0
    for figure in (metrics.win_rate_pct, metrics.sharpe, metrics.sqn, metrics.calmar, metrics.max_trade_bars):
        assert figure is None


@pytest.mark.parametrize("length", [1, 2])
def test_hardly_any_bars(length: int) -> None:
    metrics = compute_metrics([], BARS.iloc[:length], Costs())
    assert metrics.bars == length
    assert metrics.sharpe is None


def test_no_bars_are_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to score"):
        compute_metrics([], BARS.iloc[:0], Costs())


def test_runs_and_durations() -> None:
    prices = pd.DataFrame(
        {column: [10.0, 10, 11, 10, 12, 12, 11, 11, 13, 13] for column in ("Open", "High", "Low", "Close")},
        index=pd.date_range("2024-01-01", periods=10),
    )
    trades = [
        Trade(side=Side.LONG, size=1, entry_bar=entry, exit_bar=leave, entry_price=one, exit_price=two)
        for entry, leave, one, two in [(1, 2, 10, 11), (3, 4, 10, 12), (4, 6, 12, 11), (7, 8, 11, 13)]
    ]
    metrics = compute_metrics(trades, prices, Costs(cash=100))
    assert (metrics.max_wins_in_row, metrics.max_losses_in_row) == (2, 1)
    assert (metrics.avg_trade_bars, metrics.max_trade_bars) == (1.25, 2)
    assert metrics.max_drawdown_bars == 2
    assert metrics.equity_final == 104
    assert metrics.exposure_pct == 80


def test_ruin_leaves_nothing() -> None:
    prices = pd.DataFrame(
        {column: [10.0, 10, 30, 35, 10] for column in ("Open", "High", "Low", "Close")},
        index=pd.date_range("2024-01-01", periods=5),
    )
    short = Trade(side=Side.SHORT, size=10, entry_bar=1, exit_bar=2, entry_price=10, exit_price=30)
    curve = equity_curve([short], prices, Costs(cash=100))
    assert curve.tolist() == [100, 100, 0, 0, 0]
    metrics = compute_metrics([short], prices, Costs(cash=100))
    assert metrics.return_pct == -100
    assert metrics.max_drawdown_pct == -100


def test_ruin_in_the_first_bar_is_a_number() -> None:
    prices = pd.DataFrame(
        {"Open": [10.0, 10], "High": [30.0, 10], "Low": [10.0, 10], "Close": [10.0, 10]},
        index=pd.date_range("2024-01-01", periods=2),
    )
    short = Trade(side=Side.SHORT, size=10, entry_bar=0, exit_bar=0, entry_price=10, exit_price=30)
    metrics = compute_metrics([short], prices, Costs(cash=100))
    assert (metrics.return_pct, metrics.max_drawdown_pct) == (-100, 0)


def test_a_good_hour_has_no_growth_a_year() -> None:
    """1.1 to the power of 8,767 is more than a float holds."""
    closes = np.linspace(100, 110, 60)
    prices = pd.DataFrame(
        dict.fromkeys(("Open", "High", "Low", "Close"), closes),
        index=pd.date_range("2024-01-01", periods=60, freq="1min"),
    )
    trade = Trade(
        side=Side.LONG, size=9000, entry_bar=1, exit_bar=59, entry_price=closes[1], exit_price=closes[59]
    )
    metrics = compute_metrics([trade], prices, Costs())
    assert metrics.return_pct > 8
    assert (metrics.cagr_pct, metrics.calmar) == (None, None)


def test_metrics_are_plain_json() -> None:
    metrics = compute_metrics(read_claims([GOOD], BARS, Costs()), BARS, Costs())
    assert json.loads(metrics.model_dump_json())["trades"] == 1
    assert metrics.start == "2020-01-01T00:00:00+00:00"


def test_rows_carry_rules_profit_and_times() -> None:
    bars = backtesting.test.GOOG.astype(float)
    checked = check_definition({"name": "Test", "symbol": "GOOG"} | RULES[0])
    costs = Costs(commission=0.002)
    expected = expected_trades(checked.definition, checked.rulebook, bars, costs)
    stats = run(compile_strategy(checked.definition, checked.rulebook), bars, costs)
    trades = trades_of(stats)
    strange = trades[1].model_copy(update={"exit_bar": trades[1].exit_bar + 1})
    rows = trade_rows([trades[0], strange, *trades[2:]], expected[:-1], bars, costs)
    assert rows[0].entry_rule == "entry_rules[0]: RSI(6) < 45"
    assert rows[0].exit_rule in ("exit_rules[0]: RSI(6) > 60", "stop_loss")
    assert (rows[1].entry_rule, rows[1].exit_rule) == ("entry_rules[0]: RSI(6) < 45", "unknown")
    assert (rows[-1].entry_rule, rows[-1].exit_rule) == ("unknown", "unknown")
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0].entry_time == bars.index[rows[0].entry_bar].isoformat()
    assert [row.return_pct for row in rows] == pytest.approx((stats._trades.ReturnPct * 100).tolist())
    assert [row.profit for row in rows] == pytest.approx(stats._trades.PnL.tolist())
