"""Sentences on stops, targets, holding time and size."""

import pytest

from domain.rules.errors import RuleError
from domain.rules.risk import RiskPhrase, looks_like_risk, parse_risk_phrase, pip_size
from schemas.definition import Distance, DistanceKind, PositionSizing, SizingMode


def percent(value: float) -> Distance:
    return Distance(kind=DistanceKind.PERCENT, value=value)


def atr(value: float, period: int = 14) -> Distance:
    return Distance(kind=DistanceKind.ATR, value=value, period=period)


def price(value: float) -> Distance:
    return Distance(kind=DistanceKind.PRICE, value=value)


def away(value: float) -> Distance:
    return Distance(kind=DistanceKind.DISTANCE, value=value)


def size(mode: SizingMode, value: float) -> PositionSizing:
    return PositionSizing(mode=mode, value=value)


PHRASES = [
    ("stop 2% below entry", RiskPhrase("stop_loss", percent(2), "long")),
    ("Stop 2% above entry.", RiskPhrase("stop_loss", percent(2), "short")),
    ("stop loss at 2%", RiskPhrase("stop_loss", percent(2))),
    ("stop-loss of 2.5 percent", RiskPhrase("stop_loss", percent(2.5))),
    ("Stop loss: 2%", RiskPhrase("stop_loss", percent(2))),
    ("set a stop loss 2% below the entry price", RiskPhrase("stop_loss", percent(2), "long")),
    ("use a 2% stop loss", RiskPhrase("stop_loss", percent(2))),
    ("exit with a 2% stop", RiskPhrase("stop_loss", percent(2))),
    ("2% stop", RiskPhrase("stop_loss", percent(2))),
    ("cut losses at 7%", RiskPhrase("stop_loss", percent(7))),
    ("stop 2% away from entry", RiskPhrase("stop_loss", percent(2))),
    ("stop 1.5 ATR below entry", RiskPhrase("stop_loss", atr(1.5), "long")),
    ("stop loss of 2 x ATR(20)", RiskPhrase("stop_loss", atr(2, 20))),
    ("stop 2 times the ATR", RiskPhrase("stop_loss", atr(2))),
    ("2*ATR stop", RiskPhrase("stop_loss", atr(2))),
    ("20 pips stop", RiskPhrase("stop_loss", away(0.002))),
    ("20-pip stop loss", RiskPhrase("stop_loss", away(0.002))),
    ("stop loss of 35 pips", RiskPhrase("stop_loss", away(0.0035))),
    ("stop at 95.5", RiskPhrase("stop_loss", price(95.5))),
    ("stop at $95.50", RiskPhrase("stop_loss", price(95.5))),
    ("stop $2 below entry", RiskPhrase("stop_loss", away(2), "long")),
    ("stop of 12 points", RiskPhrase("stop_loss", away(12))),
    ("take profit at 5%", RiskPhrase("take_profit", percent(5))),
    ("take profits 5% above entry", RiskPhrase("take_profit", percent(5), "long")),
    ("target 5% below entry", RiskPhrase("take_profit", percent(5), "short")),
    ("profit target of 3 ATR(14)", RiskPhrase("take_profit", atr(3))),
    ("target at 120", RiskPhrase("take_profit", price(120))),
    ("trailing stop of 3 ATR", RiskPhrase("trailing_stop", atr(3))),
    ("a 3 ATR trailing stop", RiskPhrase("trailing_stop", atr(3))),
    ("trail by 2%", RiskPhrase("trailing_stop", percent(2))),
    ("trail the stop by 20 pips", RiskPhrase("trailing_stop", away(0.002))),
    ("exit after 10 bars", RiskPhrase("max_holding_bars", 10)),
    ("hold for at most 10 days", RiskPhrase("max_holding_bars", 10)),
    ("hold 10 bars", RiskPhrase("max_holding_bars", 10)),
    ("close the position after 10 periods", RiskPhrase("max_holding_bars", 10)),
    ("risk 1% per trade", RiskPhrase("sizing", size(SizingMode.RISK_PERCENT, 1))),
    ("risk 0.5% of the account on each trade", RiskPhrase("sizing", size(SizingMode.RISK_PERCENT, 0.5))),
    ("invest 50% of equity", RiskPhrase("sizing", size(SizingMode.PERCENT_OF_EQUITY, 50))),
    ("use 50% of equity per trade", RiskPhrase("sizing", size(SizingMode.PERCENT_OF_EQUITY, 50))),
    ("position size of 10%", RiskPhrase("sizing", size(SizingMode.PERCENT_OF_EQUITY, 10))),
    ("buy 100 shares", RiskPhrase("sizing", size(SizingMode.FIXED_UNITS, 100))),
    ("trade 1,000 units", RiskPhrase("sizing", size(SizingMode.FIXED_UNITS, 1000))),
    ("invest $10,000 per trade", RiskPhrase("sizing", size(SizingMode.FIXED_CASH, 10_000))),
    ("maximum position 20% of equity", RiskPhrase("max_position", 20.0)),
    ("at most 20% of equity in one position", RiskPhrase("max_position", 20.0)),
]


@pytest.mark.parametrize(("text", "phrase"), PHRASES, ids=[text for text, _ in PHRASES])
def test_understood(text: str, phrase: RiskPhrase) -> None:
    assert looks_like_risk(text)
    assert parse_risk_phrase(text) == phrase
    assert parse_risk_phrase(f" {text.upper()} ".replace(" ", "  ")) == phrase


REFUSED = [
    # text, what is pointed at, part of the message
    ("", "", "nothing of stop"),
    ("RSI(14) < 30", "RSI(14)", "says nothing of stop"),
    ("stop", "", "stops too early"),
    ("stop 5", "5", "a price or a distance"),
    ("stop 5 below entry", "5", "has no unit"),
    ("stop $5", "$5", "a price or a distance"),
    ("stop below the lower band", "below", "not understood"),
    ("stop 2% below the lower band", "below", "not understood"),
    ("stop 2% below entry and target 5%", "and", "not understood"),
    ("stop 2% or 3 ATR", "or", "not understood"),
    ("stop 0%", "0%", "more than 0"),
    ("stop 100%", "100%", "less than 100%"),
    ("stop -2%", "-2%", "not understood"),
    ("stop 2%%", "%", "not understood"),
    ("stop 2 ATR(1)", "2 ATR(1)", "2 to 500"),
    ("trailing stop at 95", "95", "can't be a fixed price"),
    ("risk 101%", "101%", "at most 100%"),
    ("risk 0% per trade", "0%", "more than 0"),
    ("exit after 0 bars", "0 bars", "1 to 100000"),
    ("exit after 999999 bars", "999999 bars", "1 to 100000"),
    ("exit after 10 weeks", "10 weeks", "a bar of this definition is 1d"),
    ("exit after 10", "10", "not understood"),
    ("invest 1000", "1000", "not understood"),
    ("stop " + "9" * 150 + "%", "9" * 150 + "%", "less than 1e15"),
    ("stop 2% below entry please", "please", "not understood"),
]


@pytest.mark.parametrize(("text", "place", "message"), REFUSED, ids=[text[:40] for text, _, _ in REFUSED])
def test_refused(text: str, place: str, message: str) -> None:
    with pytest.raises(RuleError) as refused:
        parse_risk_phrase(text, path="exit_rules[0]")
    assert refused.value.text[slice(*refused.value.span)] == place
    assert message in refused.value.message
    assert str(refused.value).startswith("exit_rules[0]: ")


def test_a_sentence_is_bounded() -> None:
    with pytest.raises(RuleError, match="at most 200"):
        parse_risk_phrase("stop 2% below entry " * 100_000)


def test_pips_need_a_currency_pair() -> None:
    assert parse_risk_phrase("stop 20 pips", pip=pip_size("USDJPY")).value == away(0.2)
    with pytest.raises(RuleError, match="currency pairs only"):
        parse_risk_phrase("stop 20 pips", pip=pip_size("GOOG"))


@pytest.mark.parametrize(
    ("symbol", "pip"),
    [
        *(
            ("EURUSD", 0.0001),
            ("EUR/USD", 0.0001),
            ("EURUSD=X", 0.0001),
            ("eur_usd", 0.0001),
            ("USDJPY", 0.01),
        ),
        *(("GOOG", None), ("BTCUSD", None), ("GOOGLE", None), ("", None), ("EURUSDT", None)),
    ],
)
def test_pip_size(symbol: str, pip: float | None) -> None:
    assert pip_size(symbol) == pip


def test_a_phrase_says_what_it_sets() -> None:
    assert str(parse_risk_phrase("stop 2 ATR below entry")) == "risk_limits.stop_loss = 2 ATR(14)"
    assert str(parse_risk_phrase("risk 1% per trade")) == "position_sizing = risk_percent 1"
    assert str(parse_risk_phrase("exit after 10 bars")) == "risk_limits.max_holding_bars = 10"
