"""Fields of the step format in the shapes that are found in the wild."""

from typing import Any

import pytest

from domain.importer import ImportResult, import_steps
from domain.importer.instruments import as_interval, as_symbol
from domain.importer.scalars import as_date, as_name, as_number, as_parameter_name, as_version, plain_key

RULES = [
    {"trigger": "RSI(14) < 30", "action": {"type": "enter"}},
    {"trigger": "RSI(14) > 70", "action": {"type": "exit"}},
]


def imported(step: dict[str, Any] | None = None, **top: Any) -> ImportResult:
    return import_steps(
        {"strategy_id": "x", "steps": [{**RULES[0], **(step or {})}, RULES[1]], **top}, source="x"
    )


def whys(result: ImportResult) -> str:
    return " | ".join(entry.why for entry in result.not_understood)


PERCENT_2 = {"kind": "percent", "value": 2}


@pytest.mark.parametrize(
    "risk",
    [
        {"stop_loss": "2%"},
        {"stop_loss": "2 %"},
        {"stop_loss": "2% below entry"},
        {"stop_loss": "Stop loss at 2%"},
        {"stopLoss": "2 percent"},
        {"Stop-Loss %": 2},
        {"stop_loss_pct": "2"},
        {"stop_loss_percent": 2.0},
        {"sl": "2%"},
        {"stop_loss": {"type": "percent", "value": 2}},
        {"stop_loss": {"percent": 2}},
        {"stop_loss": {"mode": "pct", "value": "2"}},
        [{"name": "stop_loss", "value": 2, "unit": "percent"}],
        [{"type": "stop_loss_pct", "value": 2}],
        ["stop 2% below entry"],
        "Stop loss 2% below entry.",
        {"rules": ["stop loss at 2%"]},
    ],
)
def test_a_stop_in_every_shape(risk: Any) -> None:
    for key in ("risk_controls", "exit"):
        result = imported({key: risk})
        assert result.draft["risk_limits"] == {"stop_loss": PERCENT_2}, key
        assert not result.not_understood


@pytest.mark.parametrize(
    ("risk", "limits"),
    [
        ({"take_profit": "3 ATR(20)"}, {"take_profit": {"kind": "atr", "value": 3, "period": 20}}),
        ({"stop_loss_atr": 1.5}, {"stop_loss": {"kind": "atr", "value": 1.5, "period": 14}}),
        (
            {"stop_loss": {"atr_multiple": 2, "period": 10}},
            {"stop_loss": {"kind": "atr", "value": 2, "period": 10}},
        ),
        ({"trailing_stop_pct": 5}, {"trailing_stop": {"kind": "percent", "value": 5}}),
        ({"stop_loss_price": 95.5}, {"stop_loss": {"kind": "price", "value": 95.5}}),
        ({"max_holding_bars": "12"}, {"max_holding_bars": 12}),
        ({"time_stop": 8}, {"max_holding_bars": 8}),
        ({"max_holding_bars": "10 bars"}, {"max_holding_bars": 10}),
        ({"max_position_pct": 25}, {"max_position": 25}),
        ({"max_position": "20% of equity"}, {"max_position": 20}),
    ],
)
def test_other_limits(risk: Any, limits: dict[str, Any]) -> None:
    assert imported({"risk_controls": risk}).draft["risk_limits"] == limits


@pytest.mark.parametrize(
    ("risk", "why"),
    [
        ({"stop_loss": 2}, "no unit"),
        ({"stop_loss_pct": 0.02}, "0.02 without a % sign can mean 0.02% or 2%"),
        ({"stop_loss": "0%"}, "0"),
        ({"stop_loss": "120%"}, "100%"),
        ({"stop_loss": "tight"}, "'tight'"),
        ({"stop_loss": "1-3%"}, "not understood"),
        ({"stop_loss": True}, "a number or a text"),
        ({"stop_loss": {"type": "vibes", "value": 2}}, "in vibes is not understood"),
        ({"stop_loss": {"why": "because"}}, "needs 'value' and 'type'"),
        ({"stop_loss": "take profit 5%"}, "stands in a field for the stop loss"),
        ({"stop_loss_pips": 20}, "no instrument is named"),
        ({"trailing_stop_price": 20}, "can't be a fixed price"),
        ({"max_holding_bars": 2.5}, "whole number of bars"),
        ({"stop_loss": {"atr": 2, "period": 9999}}, "from 2 to 500"),
        ({"daily_loss_limit": 3}, "is no limit that a definition has"),
        (7, "without the name of a limit"),
    ],
)
def test_limits_that_are_not_understood(risk: Any, why: str) -> None:
    result = imported({"risk_controls": risk})
    assert "risk_limits" not in result.draft
    assert why in whys(result)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"mode": "percent", "value": 10}, {"mode": "percent_of_equity", "value": 10}),
        ({"mode": "percent_of_equity", "value": "10"}, {"mode": "percent_of_equity", "value": 10}),
        ({"mode": "percent_of_equity", "value": "0.5%"}, {"mode": "percent_of_equity", "value": 0.5}),
        ({"mode": "fixed", "value": 100}, {"mode": "fixed_units", "value": 100}),
        ({"mode": "units", "value": "1,000"}, {"mode": "fixed_units", "value": 1000}),
        ({"mode": "cash", "value": 5000}, {"mode": "fixed_cash", "value": 5000}),
        ({"mode": "lots", "value": 0.1}, {"mode": "fixed_units", "value": 10000}),
        ("10%", {"mode": "percent_of_equity", "value": 10}),
        ("100 shares", {"mode": "fixed_units", "value": 100}),
    ],
)
def test_sizes(size: Any, expected: dict[str, Any]) -> None:
    result = imported({"action": {"type": "enter", "instrument": "EUR/USD", "size": size}})
    assert result.draft["position_sizing"] == expected
    assert not result.not_understood


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ({"mode": "percent_of_equity", "value": 0.1}, "can mean 0.1% or 10%"),
        ({"mode": "percent", "value": 150}, "at most 100"),
        ({"mode": "martingale", "value": 2}, "'martingale' is not known"),
        ({"mode": "fixed", "value": -1}, "greater than 0"),
        ({"mode": "fixed", "value": 1.5}, "whole numbers"),
        ({"mode": "fixed"}, "needs 'value' and 'type'"),
        (10, "has no unit"),
        ({"mode": "risk", "value": "1%"}, "needs a stop loss to measure the risk by"),
        ([1, 2], "a size is a number or text"),
    ],
)
def test_sizes_that_are_not_understood(size: Any, why: str) -> None:
    result = imported({"action": {"type": "enter", "size": size}})
    assert "position_sizing" not in result.draft
    assert why in whys(result)


def test_a_condition_that_is_not_understood_leaves_no_weaker_definition() -> None:
    result = imported({"condition": "the market feels right"})
    assert result.definition is None
    assert result.draft["entry_rules"] == ["RSI(14) < 30"]
    assert (
        "steps[0].condition is not understood, so the other condition of its step would act alone"
        in result.problems[0]
    )


def test_more_conditions_than_a_definition_holds_are_not_dropped() -> None:
    result = imported({"trigger": [f"RSI({number}) < 30" for number in range(2, 35)]})
    assert result.definition is None
    assert "33 conditions must hold together, and a definition has at most 32 long entry rules" in str(
        result.problems
    )
    assert len(result.draft["entry_rules"]) == 33


def test_trigger_and_condition_of_an_exit_hold_together() -> None:
    document = {"steps": [RULES[0], {**RULES[1], "condition": "Close > SMA(50)"}]}
    assert import_steps(document, source="x").draft["exit_rules"] == ["RSI(14) > 70 and Close > SMA(50)"]


def test_a_stop_on_the_wrong_side_is_refused() -> None:
    result = imported({"risk_controls": "stop loss 2% above entry"})
    assert "fits a short position, but only long ones are entered" in whys(result)


def test_parameters() -> None:
    result = imported(
        {"params": {"rsi": 14, "class": "2", "bad": "x", "timeframe": "1h", "stop_loss_pct": 3}}
    )
    assert result.draft["parameters"] == {"rsi_value": 14, "class_": 2}
    assert result.draft["interval"] == "1h"
    assert result.draft["risk_limits"] == {"stop_loss": {"kind": "percent", "value": 3}}
    assert "a parameter is a number" in whys(result)


def test_a_parameter_of_two_values_is_refused() -> None:
    result = imported({"params": [{"name": "n", "value": 1}, {"name": "n", "value": 2}]})
    assert "parameters" not in result.draft
    assert "given as 1 and 2; one must be chosen" in whys(result)


def test_two_bar_lengths_are_refused() -> None:
    result = imported(metadata={"timeframe": "1h", "interval": "4h"})
    assert result.draft["interval"] == "1d"
    assert "several bar lengths are given (1h, 4h)" in whys(result)


def test_a_bar_length_that_is_not_offered_is_refused() -> None:
    result = imported(metadata={"timeframe": "3h"})
    assert "not a bar length" in whys(result)


def test_a_text_in_the_wrong_interval_is_refused() -> None:
    """'20-day' doesn't count bars of an hour."""
    result = imported({"trigger": "Close > 20-day SMA"}, metadata={"timeframe": "1h"})
    assert result.definition is None
    assert "a bar of this definition is 1h" in whys(result)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        *(("EUR/USD", "EURUSD"), ("eur-usd", "EURUSD"), ("eurusd", "EURUSD"), ("BTC/USDT", "BTCUSDT")),
        *(
            ("$AAPL", "AAPL"),
            ("aapl", "AAPL"),
            ("BRK.B", "BRK.B"),
            ("BTC-USD", "BTC-USD"),
            ("^GSPC", "^GSPC"),
        ),
        *(
            ("EURUSD=X", "EURUSD=X"),
            ("EMA", None),
            ("RSI", None),
            ("stocks", None),
            ("", None),
            ("a b", None),
        ),
        *(("../x", None), ("123", None), ("🐂", None)),
    ],
)
def test_symbols(text: str, symbol: str | None) -> None:
    assert as_symbol(text) == symbol


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        *(
            ("1h", "1h"),
            ("1-hour", "1h"),
            ("H4", "4h"),
            ("60 min", "1h"),
            ("15 minutes", "15m"),
            ("daily", "1d"),
        ),
        *(("D1", "1d"), ("1 week", "1wk"), ("MN1", "1mo"), ("3h", None), ("soon", None), ("", None)),
        ("9" * 50 + "h", None),
    ],
)
def test_intervals(text: str, interval: str | None) -> None:
    assert as_interval(text)[0] == interval


def test_scalars() -> None:
    assert [as_number(value) for value in ("1,000.5", " -2 ", "1e999", "٣", True, None, "", ".", float("nan"))] == [
        1000.5, -2.0, None, None, None, None, None, None, None,
    ]  # fmt: skip
    assert as_name("rsi-reversal-01") == "rsi_reversal_01"
    assert as_name("Überkauft 7") == "Uberkauft_7"
    assert as_name("7 up") == "s_7_up"
    assert as_name("class") == "class_"
    assert as_name("日本") == ""
    assert as_parameter_name("Close") == "close_value"
    assert plain_key(" Stop-Loss % ") == plain_key("stopLossPercent") == "stop_loss_percent"
    assert [as_version(text) for text in ("1", "v1.2", "1.2.3", "01.0", "beta")] == [
        "1.0.0",
        "1.2.0",
        "1.2.3",
        "1.0.0",
        None,
    ]
    assert str(as_date("2025-10-28T15:31:32.3")) == "2025-10-28"
    assert as_date("2025-13-01") is as_date("yesterday") is None


@pytest.mark.parametrize(
    ("step", "key"),
    [
        ({"title": "Short entry"}, "short_entry_rules"),
        ({"title": "Entry", "notes": "Go short here."}, "short_entry_rules"),
        ({"side": "SHORT"}, "short_entry_rules"),
        ({"action": {"type": "enter", "direction": "sell"}}, "short_entry_rules"),
        ({"action": "sell short"}, "short_entry_rules"),
        ({"title": "Long entry"}, "entry_rules"),
        ({"title": "A short-term entry on the short EMA"}, "entry_rules"),
        ({"title": "Go long or go short"}, "entry_rules"),
    ],
)
def test_the_side_of_a_step(step: dict[str, Any], key: str) -> None:
    result = imported(step)
    assert [name for name in result.draft if name.endswith("entry_rules")] == [key]


def test_a_side_that_nobody_names_is_an_assumption() -> None:
    assert "no side is named for the entry at steps[0].trigger: read as long" in imported().assumptions
    assert not any("no side is named" in said for said in imported({"side": "long"}).assumptions)


def test_the_instrument_of_a_sentence_gives_its_own_pips_and_lots() -> None:
    snippet = "Buy 0.1 lots of EUR/USD when RSI(14) < 30 with a 20 pip stop and a 40 pip target"
    result = import_steps({"provenance": snippet}, source="x")
    assert result.definition
    assert result.draft["symbol"] == "EURUSD"
    assert result.draft["position_sizing"] == {"mode": "fixed_units", "value": 10000}
    assert result.draft["risk_limits"]["stop_loss"] == {"kind": "distance", "value": 0.002}
    assert result.draft["risk_limits"]["take_profit"] == {"kind": "distance", "value": 0.004}


def test_crosses_without_a_direction_is_not_guessed() -> None:
    result = imported({"trigger": "30 EMA crosses 50 EMA"})
    assert result.definition is None
    assert result.not_understood[0].nearest == "30 EMA crosses above 50 EMA"
