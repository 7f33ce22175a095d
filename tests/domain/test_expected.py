"""The independent reading, and the proof that it and the generated code agree."""

import time
from typing import Any
from unittest import mock

import backtesting.test
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import domain.expected.reading
from domain.compiler import compile_strategy
from domain.conform import compare_trades
from domain.definitions import check_definition
from domain.expected import Reading, expected_trades, explain_no_trades
from domain.indicators import compute
from domain.rules.ast import Rulebook
from schemas.definition import StrategyDefinition
from schemas.trading import Costs, ExpectedTrade, Side, Trade
from tests.domain.drawing import bars as drawn_bars
from tests.domain.drawing import definitions, random_bars
from tests.domain.running import run, trades_of


def read(**data: Any) -> tuple[StrategyDefinition, Rulebook]:
    base: dict[str, Any] = {"name": "Test", "symbol": "GOOG"}
    checked = check_definition(base | data)
    return checked.definition, checked.rulebook


def quotes(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    """Bars of open, high, low, close."""
    frame = pd.DataFrame(rows, columns=["Open", "High", "Low", "Close"], dtype=float)
    frame["Volume"] = 1000.0
    frame.index = pd.date_range("2024-01-01", periods=len(rows), freq="D")
    return frame


def flat(*closes: float) -> pd.DataFrame:
    """Bars that open at the close before and go no further than open and close."""
    opens = [closes[0], *closes[:-1]]
    return quotes(*((o, max(o, c), min(o, c), c) for o, c in zip(opens, closes, strict=True)))


def both_readings(bars: pd.DataFrame, costs: Costs | None = None, **data: Any) -> list[ExpectedTrade]:
    """The expected trades, once they are what backtesting.py makes of the generated code."""
    costs = costs or Costs()
    definition, book = read(**data)
    actual = trades_of(run(compile_strategy(definition, book), bars, costs))
    expected = expected_trades(definition, book, bars, costs)
    assert plain(expected) == plain(actual)
    assert compare_trades(expected, actual, definition, book, bars) == []
    return expected


def plain(trades: list[ExpectedTrade] | list[Trade]) -> list[tuple[Any, ...]]:
    return [
        (trade.side, trade.size, trade.entry_bar, trade.exit_bar, trade.entry_price, trade.exit_price)
        for trade in trades
    ]


# The two readings

CHARGES = [(0.0, 0.0, 0.0), (0.002, 0.0, 0.0), (0.001, 0.002, 0.0005), (0.0, 0.03, 0.0)]
"""Commission, spread and slippage; the last spread is wider than many a target."""


def assert_agree(definition: StrategyDefinition, book: Rulebook, bars: pd.DataFrame, costs: Costs) -> None:
    actual = trades_of(run(compile_strategy(definition, book), bars, costs))
    expected = expected_trades(definition, book, bars, costs, claims=actual)
    assert [trade[:4] for trade in plain(expected)] == [trade[:4] for trade in plain(actual)]
    for one, two in zip(expected, actual, strict=True):
        assert one.entry_price == two.entry_price
        assert one.exit_price == pytest.approx(two.exit_price, rel=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(definitions(), drawn_bars, st.sampled_from(CHARGES), st.sampled_from([1e6, 1e4, 150.0]))
def test_generated_code_trades_as_the_rules_are_read(
    drawn: tuple[StrategyDefinition, Rulebook],
    bars: pd.DataFrame,
    charges: tuple[float, float, float],
    cash: float,
) -> None:
    commission, spread, slippage = charges
    assert_agree(*drawn, bars, Costs(cash=cash, commission=commission, spread=spread, slippage=slippage))


@pytest.mark.parametrize("name", ["GOOG", "EURUSD", "BTCUSD"])
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=definitions())
def test_they_agree_on_real_prices(name: str, drawn: tuple[StrategyDefinition, Rulebook]) -> None:
    bars = getattr(backtesting.test, name).astype(float).iloc[:1200]
    assert_agree(*drawn, bars, Costs(commission=0.002, spread=0.0003))


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(definitions(), drawn_bars, st.floats(0.05, 0.95))
def test_nothing_before_a_cut_depends_on_what_follows(
    drawn: tuple[StrategyDefinition, Rulebook], bars: pd.DataFrame, share: float
) -> None:
    """Of the generated code too: a trade that ended before the last bar of a prefix is the same in the whole."""
    code, cut = compile_strategy(*drawn), max(1, int(len(bars) * share))
    whole, part = (trades_of(run(code, piece, Costs())) for piece in (bars, bars.iloc[:cut]))
    settled = [trade for trade in part if trade.exit_bar < cut - 1]
    assert settled == [trade for trade in whole if trade.exit_bar < cut - 1]


# What is decided when


def test_decided_at_the_close_filled_at_the_next_open() -> None:
    bars = quotes(
        (10, 10, 10, 10), (10, 10, 9, 9), (8, 9, 7, 8.5), (9, 12, 9, 12), (13, 14, 13, 14), (15, 15, 15, 15)
    )
    (trade,) = both_readings(bars, entry_rules=["Close < 9.5"], exit_rules=["Close > 11"])
    assert (trade.entry_bar, trade.entry_price) == (2, 8)
    assert (trade.exit_bar, trade.exit_price) == (4, 13)
    assert trade.entry_reason == "entry_rules[0]: Close < 9.5"
    assert trade.exit_reason == "exit_rules[0]: Close > 11"


def test_the_first_decision_is_one_bar_after_the_first_values() -> None:
    definition, book = read(entry_rules=["Close > 1"], exit_rules=["Close < SMA(5)"])
    bars = flat(*range(10, 30))
    assert Reading(definition, book, bars).first_decision == 5
    trades = both_readings(bars, entry_rules=["Close > 1"], exit_rules=["Close < SMA(5)"])
    assert [trade.entry_bar for trade in trades] == [6]


def test_an_indicator_without_values_lets_nothing_be_decided() -> None:
    data = {"entry_rules": ["Close > 1"], "exit_rules": ["Close < SMA(50)"]}
    assert both_readings(flat(*range(10, 30)), **data) == []
    assert (
        "SMA(50) has no value on any of the 20 bars"
        in explain_no_trades(*read(**data), flat(*range(10, 30)), Costs())[0]
    )


def test_a_side_is_not_entered_again_on_the_bar_that_ends_it() -> None:
    trades = both_readings(flat(*range(10, 20)), entry_rules=["Close > 1"], exit_rules=["Close > 2"])
    assert [(trade.entry_bar, trade.exit_bar) for trade in trades] == [(2, 3), (4, 5), (6, 7), (8, 9)]


def test_reversal_closes_and_opens_at_one_open() -> None:
    trades = both_readings(
        flat(10, 10, 12, 13, 9, 8, 8, 12, 13, 13),
        entry_rules=["Close > 11"],
        short_entry_rules=["Close < 9.5"],
    )
    assert [(trade.side, trade.entry_bar, trade.exit_bar, trade.exit_reason) for trade in trades] == [
        (Side.LONG, 3, 5, "reversal"),
        (Side.SHORT, 5, 8, "reversal"),
        (Side.LONG, 8, 9, "end_of_data"),
    ]


def test_where_both_sides_signal_neither_is_entered() -> None:
    data = {
        "entry_rules": ["Close > 1"],
        "short_entry_rules": ["Close > 11"],
        "risk_limits": {"max_holding_bars": 9},
    }
    trades = both_readings(flat(10, 12, 12, 12, 10, 10, 12, 12, 12, 12), **data)
    assert [(trade.side, trade.entry_bar) for trade in trades] == [(Side.LONG, 5)]
    assert trades[0].exit_reason == "end_of_data", "both signals at once don't reverse either"


@pytest.mark.parametrize("most", [1, 2, 3])
def test_max_holding_bars_counts_from_the_entry_bar(most: int) -> None:
    trades = both_readings(
        flat(*range(10, 22)), entry_rules=["Close > 1"], exit_rules=[], risk_limits={"max_holding_bars": most}
    )
    assert trades[0].exit_bar - trades[0].entry_bar == most
    assert trades[0].exit_reason == "max_holding_bars"


def test_a_missing_value_holds_neither_way() -> None:
    bars = flat(10, 11, 12, 13, 14, 15, 16, 17)
    missing = {"entry_rules": ["not (Close[5] > 1)"], "exit_rules": ["Close < 1"]}
    assert both_readings(bars, **missing) == []
    zero = {"entry_rules": ["not (Close / (High - High) > 1)"], "exit_rules": ["Close < 1"]}
    assert both_readings(bars, **zero) == []
    other = both_readings(bars, entry_rules=["not (Close[5] > 1) or Close > 11.5"], exit_rules=["Close < 1"])
    assert other[0].entry_bar == 3, "the part that has its values decides"


# Stops and targets

HELD = {"entry_rules": ["Close > 1"], "exit_rules": ["Close < 1"]}


def test_a_stop_works_within_the_entry_bar() -> None:
    bars = quotes((100, 100, 100, 100), (100, 100, 100, 100), (100, 101, 97, 100), (100, 100, 100, 100))
    first = both_readings(bars, **HELD, risk_limits={"stop_loss": "2%"})[0]
    assert (first.entry_bar, first.exit_bar, first.exit_price, first.exit_reason) == (2, 2, 98, "stop_loss")


def test_an_open_beyond_the_stop_fills_at_the_open() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 3, (90, 95, 89, 94), (94, 94, 94, 94))
    first = both_readings(bars, **HELD, risk_limits={"stop_loss": "2%"})[0]
    assert (first.exit_bar, first.exit_price) == (3, 90)


def test_of_stop_and_target_in_one_bar_the_stop_counts() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 3, (100, 110, 90, 100), (100, 100, 100, 100))
    first = both_readings(bars, **HELD, risk_limits={"stop_loss": "2%", "take_profit": "2%"})[0]
    assert (first.exit_reason, first.exit_price) == ("stop_loss", 98)


def test_a_target_that_the_open_has_passed_fills_at_the_open() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 3, (105, 110, 104, 106), (106, 106, 106, 106))
    first = both_readings(bars, **HELD, risk_limits={"take_profit": "2%"})[0]
    assert (first.exit_reason, first.exit_price) == ("take_profit", 105)


def test_a_trailing_stop_follows_and_never_loosens() -> None:
    bars = quotes(
        *[(100, 100, 100, 100)] * 3,
        (100, 120, 100, 120),
        (120, 120, 115, 116),
        (116, 116, 110, 113),
        (113,) * 4,
    )
    first = both_readings(bars, **HELD, risk_limits={"stop_loss": "10%", "trailing_stop": "5%"})[0]
    assert (first.exit_bar, first.exit_price, first.exit_reason) == (5, 114, "trailing_stop")


def test_the_tighter_of_stop_and_trail_begins() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 3, (100, 100, 90, 99), (99, 99, 99, 99))
    first = both_readings(bars, **HELD, risk_limits={"stop_loss": "2%", "trailing_stop": "5%"})[0]
    assert (first.exit_price, first.exit_reason) == (98, "stop_loss")


@pytest.mark.parametrize("limit", ["price 105", "100%", "distance 100", "150%"])
def test_a_stop_that_cannot_be_placed_means_no_order(limit: str) -> None:
    bars = flat(*[100.0] * 9)
    assert both_readings(bars, **HELD, risk_limits={"stop_loss": limit}) == []
    definition, book = read(**HELD, risk_limits={"stop_loss": limit})
    assert any("could be placed" in line for line in explain_no_trades(definition, book, bars, Costs()))


def test_short_stops_lie_above() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 3, (100, 103, 99, 100), (100, 100, 100, 100))
    short = {"short_entry_rules": ["Close > 1"], "short_exit_rules": ["Close < 1"]}
    first = both_readings(bars, **short, risk_limits={"stop_loss": "2%", "take_profit": "distance 5"})[0]
    assert (first.side, first.exit_price) == (Side.SHORT, 102)


# Sizes and money


@pytest.mark.parametrize(
    ("mode", "value", "risk", "units"),
    [
        ("percent_of_equity", 95, {}, 95),
        ("percent_of_equity", 100, {}, 99),
        ("percent_of_equity", 95, {"max_position": 30}, 30),
        ("fixed_units", 7, {}, 7),
        ("fixed_units", 1000, {}, 99),
        ("fixed_cash", 550, {}, 5),
        ("fixed_cash", 50, {}, None),
        ("fixed_cash", 5_500, {"max_position": 20}, 20),
        ("risk_percent", 1, {"stop_loss": "2%"}, 50),
        ("risk_percent", 1, {"stop_loss": "5%", "trailing_stop": "2%"}, 50),
        ("risk_percent", 50, {"stop_loss": "2%"}, 99),
    ],
)
def test_sizes(mode: str, value: float, risk: dict[str, Any], units: int | None) -> None:
    trades = both_readings(
        flat(*[100.0] * 6),
        Costs(cash=10_000),
        **HELD,
        position_sizing={"mode": mode, "value": value},
        risk_limits=risk,
    )
    assert [trade.size for trade in trades] == ([] if units is None else [units])


def test_an_order_that_the_open_makes_too_dear_lapses() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 2, (102, 102, 102, 102), *[(100, 100, 100, 100)] * 3)
    trades = both_readings(
        bars, Costs(cash=10_000), **HELD, position_sizing={"mode": "fixed_units", "value": 99}
    )
    assert [trade.entry_bar for trade in trades] == [
        3
    ], "decided anew at the close of bar 2, for what there is"


def test_ruin_ends_the_account() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 3, (100, 400, 100, 390), (390, 390, 50, 60), (60, 60, 60, 60))
    trades = both_readings(bars, short_entry_rules=["Close > 1"], short_exit_rules=["Close < 1"])
    assert [(trade.exit_bar, trade.exit_price, trade.exit_reason) for trade in trades] == [
        (3, 390, "out_of_money")
    ]


def test_the_end_of_data_closes_at_the_last_open() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 3, (101, 105, 99, 104))
    (trade,) = both_readings(bars, **HELD)
    assert (trade.exit_bar, trade.exit_price, trade.exit_reason) == (3, 101, "end_of_data")


def test_what_the_last_close_orders_is_seen_only_if_it_ends_in_the_last_bar() -> None:
    bars = quotes(*[(100, 100, 100, 100)] * 3, (100, 101, 97, 100))
    limited = both_readings(
        bars, entry_rules=["High > 100.5"], exit_rules=["Close < 1"], risk_limits={"stop_loss": "2%"}
    )
    assert [(trade.entry_bar, trade.exit_bar, trade.exit_price) for trade in limited] == [(3, 3, 98)]
    assert both_readings(bars, entry_rules=["High > 100.5"], exit_rules=["Close < 1"]) == []


def test_gaps_in_a_source_are_filled_and_gaps_elsewhere_are_missing() -> None:
    bars = random_bars(4, 120)
    bars.loc[bars.index[30:40], "Volume"] = 0.0
    trades = both_readings(
        bars,
        entry_rules=["SMA(Close / Volume, 3) > 0.001", "abs(Close / Volume) > 0.001"],
        exit_rules=["Close < Close[2]"],
    )
    assert trades
    assert not {trade.entry_bar for trade in trades} & set(range(31, 41))


# Ties


def test_a_tie_is_decided_as_the_strategy_did_and_only_a_tie() -> None:
    bars = flat(*[100.0] * 12)
    definition, book = read(entry_rules=["Close >= EMA(3)"], exit_rules=["Close < 1"])
    costs = Costs()
    entered = expected_trades(definition, book, bars, costs)
    assert len(entered) == 1
    assert expected_trades(definition, book, bars, costs, claims=[]) == [], "a last bit may have said no"
    later = Trade(side=Side.LONG, size=9500, entry_bar=7, exit_bar=11, entry_price=100, exit_price=100)
    assert plain(expected_trades(definition, book, bars, costs, claims=[later])) == plain([later])
    definition, book = read(entry_rules=["Close >= Open"], exit_rules=["Close < 1"])
    assert len(expected_trades(definition, book, bars, costs, claims=[])) == 1, "prices are exact"


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(definitions(), drawn_bars, st.integers(0, 1000))
def test_another_last_bit_changes_no_verdict(
    drawn: tuple[StrategyDefinition, Rulebook], bars: pd.DataFrame, seed: int
) -> None:
    """The reader's numbers are moved by less than their rounding, as another processor would."""
    random = np.random.default_rng(seed)

    def moved(name: str, *inputs: Any) -> tuple[Any, ...]:
        lines = compute(name, *inputs)
        if name in ("HIGHEST", "LOWEST", "MOM"):
            return lines
        return tuple(line * (1 + random.choice([-3e-14, 0.0, 3e-14], len(line))) for line in lines)

    with mock.patch.object(domain.expected.reading, "compute", moved):
        assert_agree(*drawn, bars, Costs())


# Bad data, and words


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_impossible_prices_are_named(bad: float) -> None:
    bars = flat(*[100.0] * 5)
    bars.iloc[3, 1] = bad
    with pytest.raises(ValueError, match="High of bar 3"):
        expected_trades(*read(**HELD), bars, Costs())


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="no column Volume"):
        expected_trades(*read(**HELD), flat(1, 2, 3).drop(columns="Volume"), Costs())


@pytest.mark.parametrize("length", [0, 1, 2])
def test_hardly_any_bars(length: int) -> None:
    bars = flat(100, 100, 100).iloc[:length]
    assert expected_trades(*read(**HELD), bars, Costs()) == []
    assert explain_no_trades(*read(**HELD), bars, Costs())


def test_why_there_were_no_trades() -> None:
    definition, book = read(entry_rules=["RSI(14) < 5", "Close > SMA(10)"], exit_rules=["RSI(14) > 70"])
    lines = explain_no_trades(definition, book, random_bars(1, 200), Costs())
    assert lines[0] == "entry_rules[0]: RSI(14) < 5 held on 0 of 185 bars"
    assert lines[2] == "all 2 long entry rules together held on 0 of 185 bars"
    assert lines[3].startswith("nearest: at bar ")
    assert "RSI(14) = " in lines[3]
    assert lines[4].startswith("nearest to entry_rules[0]: RSI(14) < 5: bar ")


def test_rules_that_do_trade_are_said_to() -> None:
    lines = explain_no_trades(*read(**HELD), flat(*[100.0] * 6), Costs())
    assert lines[-1] == "the rules imply 1 long trades, the first at bar 2 (2024-01-03 00:00:00)"


def test_rules_that_nobody_could_pay_for_are_not_said_to_trade() -> None:
    lines = explain_no_trades(*read(**HELD), flat(*[100.0] * 6), Costs(cash=50))
    assert lines[-1].startswith("the long orders came to nothing: too small for one unit, too dear")


def test_it_is_fast() -> None:
    definition, book = read(
        entry_rules=["RSI(14) < 45", "Close > EMA(50)", "MACD.hist > -5", "ADX > 10"],
        exit_rules=["RSI(14) > 60", "CCI > 200"],
        risk_limits={"stop_loss": "3 ATR", "trailing_stop": "5%"},
    )
    for bars, most in ((backtesting.test.GOOG, 0.05), (backtesting.test.EURUSD, 0.15)):
        frame = bars.astype(float)
        best = min(_seconds(definition, book, frame) for _ in range(5))
        assert best < 4 * most, f"{len(frame)} bars took {best:.3f} s"


def _seconds(definition: StrategyDefinition, book: Rulebook, bars: pd.DataFrame) -> float:
    start = time.process_time()
    expected_trades(definition, book, bars, Costs())
    return time.process_time() - start
