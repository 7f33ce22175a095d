"""Mismatches name the bar, the rule and its values."""

from typing import Any

import backtesting.test
import pandas as pd
import pytest

from domain.conform import MOST_TEXTS, Mismatch, compare_trades
from domain.definitions import check_definition
from domain.expected import Reading, expected_trades
from domain.rules.ast import Condition
from schemas.trading import Costs, Side, Trade

GOOG = backtesting.test.GOOG.astype(float)
RSI: dict[str, Any] = {"entry_rules": ["RSI(14) < 30"], "exit_rules": ["RSI(14) > 70"]}


def compare(change: Any, bars: pd.DataFrame = GOOG, **data: Any) -> list[str]:
    """The mismatches once `change` was done to the trades that are right."""
    checked = check_definition({"name": "Test", "symbol": "GOOG"} | (data or RSI))
    expected = expected_trades(checked.definition, checked.rulebook, bars, Costs())
    actual = [Trade(**trade.model_dump(exclude={"entry_reason", "exit_reason"})) for trade in expected]
    found = compare_trades(expected, change(actual), checked.definition, checked.rulebook, bars)
    assert all(isinstance(mismatch, Mismatch) and str(mismatch) == mismatch.text for mismatch in found)
    assert [mismatch.bar for mismatch in found] == sorted(mismatch.bar for mismatch in found)
    return [mismatch.text for mismatch in found]


def changed(number: int, **changes: Any) -> Any:
    def change(trades: list[Trade]) -> list[Trade]:
        return [
            trade.model_copy(update=changes) if index == number else trade
            for index, trade in enumerate(trades)
        ]

    return change


def test_the_same_trades_agree() -> None:
    assert compare(lambda trades: trades) == []
    assert compare(lambda trades: list(reversed(trades))) == []


def test_a_missing_trade() -> None:
    assert compare(lambda trades: trades[1:]) == [
        "bar 373 (2006-02-10): expected to enter long at the open: entry_rules[0] 'RSI(14) < 30' held at bar 372 "
        "(RSI(14) = 29.208891 < 30), but the strategy did nothing"
    ]


def test_an_unexpected_trade() -> None:
    extra = Trade(side=Side.LONG, size=1, entry_bar=200, exit_bar=210, entry_price=280, exit_price=290)
    (text,) = compare(lambda trades: [extra, *trades])
    assert text.startswith(
        "bar 200 (2005-06-06): the strategy entered long, but entry_rules[0] 'RSI(14) < 30' did not hold at bar 199 "
        "(RSI(14) = "
    )


def test_a_side_that_the_definition_has_not() -> None:
    text, *_ = compare(changed(0, side=Side.SHORT))
    assert text.endswith("but the strategy entered short")
    extra = Trade(side=Side.SHORT, size=1, entry_bar=200, exit_bar=210, entry_price=280, exit_price=290)
    assert compare(lambda trades: [extra, *trades]) == [
        "bar 200 (2005-06-06): the strategy entered short, but the definition has no short entry rules"
    ]


def test_an_exit_too_early_and_too_late() -> None:
    (early,) = compare(changed(0, exit_bar=420))
    assert early.startswith("bar 420 (2006-04-20): the strategy left the long of bar 373 at ")
    assert "but exit_rules[0] 'RSI(14) > 70' did not hold at bar 419 (RSI(14) = 62.181285 > 70)" in early
    assert (
        "expected at bar 422: exit_rules[0] 'RSI(14) > 70' held at bar 421 (RSI(14) = 71.864111 > 70)"
        in early
    )
    (late,) = compare(changed(0, exit_bar=425))
    assert late == (
        "bar 422 (2006-04-24): expected to leave the long of bar 373: exit_rules[0] 'RSI(14) > 70' held at bar 421 "
        "(RSI(14) = 71.864111 > 70), but the strategy held it until bar 425"
    )


def test_size_and_prices() -> None:
    (size,) = compare(changed(0, size=7))
    assert size.startswith("bar 373 (2006-02-10): entered long with 7 units, expected ")
    assert size.endswith("(percent_of_equity 95)")
    (entry,) = compare(changed(0, entry_price=360.0))
    assert entry == "bar 373 (2006-02-10): entered long at 360, expected 361.95, the open"
    (leave,) = compare(changed(0, exit_price=440.0))
    assert "the long of bar 373 left at 440, expected " in leave
    assert "exit_rules[0]" in leave


def test_the_last_bit_of_a_price_is_no_mismatch() -> None:
    assert (
        compare(
            lambda trades: [
                trade.model_copy(update={"exit_price": trade.exit_price * (1 + 1e-12)}) for trade in trades
            ]
        )
        == []
    )
    assert compare(
        lambda trades: [
            trade.model_copy(update={"exit_price": trade.exit_price * (1 + 1e-8)}) for trade in trades
        ]
    )


def test_held_into_the_next_entry() -> None:
    texts = compare(
        lambda trades: [trades[0].model_copy(update={"exit_bar": trades[1].exit_bar}), *trades[2:]]
    )
    assert "but the strategy still held its long of bar 373" in texts[1]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"stop_loss": "3%"}, "stop_loss 3% was hit, at "),
        ({"take_profit": "4%"}, "take_profit 4% was hit, at "),
        ({"trailing_stop": "4%"}, "trailing_stop 4% was hit, at "),
        ({"max_holding_bars": 5}, "max_holding_bars 5, but"),
    ],
)
def test_limits_are_named(limits: dict[str, Any], said: str) -> None:
    texts = compare(
        lambda trades: [trade.model_copy(update={"exit_bar": trade.exit_bar + 1}) for trade in trades],
        **RSI,
        risk_limits=limits,
    )
    assert said in "\n".join(texts)


def test_a_reversal_names_the_other_sides_rules() -> None:
    data = {
        "entry_rules": ["EMA(20) crosses above EMA(50)"],
        "short_entry_rules": ["EMA(20) crosses below EMA(50)"],
    }
    texts = compare(changed(0, exit_bar=500), **data)
    assert "the other side signalled: " in texts[0]
    assert "crosses" in texts[0]
    assert "one bar before" in texts[0]


def test_an_entry_before_the_first_decision() -> None:
    extra = Trade(side=Side.LONG, size=1, entry_bar=3, exit_bar=3, entry_price=1, exit_price=1)
    texts = compare(
        lambda trades: [extra, *trades], entry_rules=["RSI(14) < 300"], exit_rules=["RSI(14) > 70"]
    )
    assert "the first decision is at the close of bar 15" in texts[0]


def test_an_entry_while_a_position_is_open() -> None:
    extra = Trade(side=Side.LONG, size=1, entry_bar=375, exit_bar=380, entry_price=1, exit_price=1)
    texts = compare(lambda trades: [trades[0].model_copy(update={"exit_bar": 374}), extra, *trades[1:]])
    assert "the long of bar 373 is to be held until bar 422 (exit_rules[0]: RSI(14) > 70)" in texts[1]


def test_both_sides_at_once_and_orders_that_cannot_be() -> None:
    extra = Trade(side=Side.LONG, size=1, entry_bar=50, exit_bar=51, entry_price=1, exit_price=1)
    both = {"entry_rules": ["Close > 1"], "short_entry_rules": ["Close > 2"]}
    assert "the rules of both sides held" in compare(lambda _: [extra], **both)[0]
    never = {
        "entry_rules": ["Close > 1"],
        "exit_rules": ["Close < 1"],
        "risk_limits": {"stop_loss": "price 9999"},
    }
    assert "no order was to be placed or filled" in compare(lambda _: [extra], **never)[0]


def test_a_long_list_is_cut_and_counted() -> None:
    data = {"entry_rules": ["Close > SMA(5)"], "exit_rules": ["Close < SMA(5)"]}
    texts = compare(lambda _: [], **data)
    whole = len(
        expected_trades(*_parts(check_definition({"name": "T", "symbol": "X"} | data)), GOOG, Costs())
    )
    assert len(texts) == MOST_TEXTS
    assert texts[-1] == f"and {whole - MOST_TEXTS + 1} more mismatches"


def test_only_what_is_told_is_put_into_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of trades may differ."""
    asked: list[int] = []

    def in_words(condition: Condition, reading: Reading, bar: int) -> str:
        asked.append(bar)
        return str(condition)

    monkeypatch.setattr("domain.conform.values", in_words)
    compare(lambda _: [], entry_rules=["Close > SMA(5)"], exit_rules=["Close < SMA(5)"])
    assert len(asked) == MOST_TEXTS - 1


def _parts(checked: Any) -> tuple[Any, Any]:
    return checked.definition, checked.rulebook


def test_times_within_a_day_are_shown() -> None:
    bars = backtesting.test.EURUSD.astype(float)
    texts = compare(lambda trades: trades[1:], bars=bars, **RSI)
    assert ":00): expected to enter long" in texts[0]


def test_lines_of_named_indicators_are_named() -> None:
    data = {
        "indicators": {"bands": "BBANDS(20, 2)"},
        "entry_rules": ["Close < bands.lower"],
        "exit_rules": ["Close > bands.middle"],
    }
    (text,) = compare(lambda trades: trades[1:], **data)
    assert "< bands.lower = " in text
