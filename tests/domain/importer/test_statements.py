"""What single statements come to."""

from typing import Any

import pytest

from domain.importer import import_steps
from domain.importer.readings import Context, LimitSaid, RuleSaid, SettingSaid
from domain.importer.sentences import is_cut, sentences
from domain.importer.statements import read_text
from domain.rules.parse import parse_rule

EURUSD = Context({"fast": 10.0}, "EURUSD", "1d")


def said(text: str, context: Context = EURUSD) -> list[Any]:
    """What each piece says: (act, sides, tree), (slot, shown), (setting, value), or None."""
    found: list[Any] = []
    for piece in read_text(text, context):
        if not piece.readings and not piece.heading:
            found.append(None)
        for reading in piece.readings:
            if isinstance(reading, RuleSaid):
                found.append((reading.act, reading.sides, reading.tree))
            elif isinstance(reading, LimitSaid):
                found.append((reading.slot, reading.shown))
            elif isinstance(reading, SettingSaid):
                found.append((reading.key, reading.value))
    return found


LONG, SHORT, BOTH = ("long",), ("short",), ()


@pytest.mark.parametrize(
    ("text", "act", "sides"),
    [
        ("Buy when RSI(14) < 30", "entry", LONG),
        ("buy if RSI(14) is below 30.", "entry", LONG),
        ("We go long if RSI(14) < 30", "entry", LONG),
        ("Enter long when RSI(14) < 30", "entry", LONG),
        ("Enter a long position once RSI(14) < 30", "entry", LONG),
        ("- Buy when RSI(14) < 30 (oversold)", "entry", LONG),
        ("1. Buy when RSI(14) < 30", "entry", LONG),
        ("Step 2: Buy when RSI(14) < 30", "entry", LONG),
        ("Original: My Strategy: Buy when RSI(14) < 30", "entry", LONG),
        ("Long entry: RSI(14) < 30", "entry", LONG),
        ("When RSI(14) < 30, buy", "entry", LONG),
        ("If RSI(14) < 30 then go long", "entry", LONG),
        ("Enter when RSI(14) < 30", "entry", BOTH),
        ("Entry: RSI(14) < 30", "entry", BOTH),
        ("Go short when RSI(14) < 30", "entry", SHORT),
        ("Sell short if RSI(14) < 30", "entry", SHORT),
        ("Enter short when RSI(14) < 30", "entry", SHORT),
        ("Short entry: RSI(14) < 30", "entry", SHORT),
        ("Exit when RSI(14) < 30", "exit", BOTH),
        ("Close the trade when RSI(14) < 30", "exit", BOTH),
        ("We will close the position when RSI(14) < 30", "exit", BOTH),
        ("Exit long when RSI(14) < 30", "exit", LONG),
        ("Close the long when RSI(14) < 30", "exit", LONG),
        ("Cover when RSI(14) < 30", "exit", SHORT),
        ("Buy to cover if RSI(14) < 30", "exit", SHORT),
        ("Close the short position when RSI(14) < 30", "exit", SHORT),
        ("Sell when RSI(14) < 30", "sell", BOTH),
        ("and then sell when RSI(14) < 30", "sell", BOTH),
    ],
)
def test_openers(text: str, act: str, sides: tuple[str, ...]) -> None:
    tree = parse_rule("RSI(14) < 30", path="rule", parameters={})
    assert said(text) == [(act, sides, tree)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Set my stop loss 15 pips below entry", [("stop_loss", "distance 0.0015")]),
        (
            "Place a stop at 1% below entry, and take profit at 3%.",
            [("stop_loss", "1%"), ("take_profit", "3%")],
        ),
        ("Use a trailing stop of 3 ATR", [("trailing_stop", "3 ATR(14)")]),
        ("Stop loss: 2%", [("stop_loss", "2%")]),
        ("Risk 1% per trade", [("sizing", "1 risk_percent")]),
        ("Position size: 2% of account per trade", [("sizing", "2 percent_of_equity")]),
        ("I want to use lot size of 0.03", [("sizing", "3000 fixed_units")]),
        ("Exit after 10 bars", [("max_holding_bars", "10")]),
        ("Trade on the 4-hour chart", [("interval", "4h")]),
        ("Timeframe: H1", [("interval", "1h")]),
        ("Trade EUR/USD", [("symbol", "EURUSD")]),
        ("2% stop and 5% target", [("stop_loss", "2%"), ("take_profit", "5%")]),
    ],
)
def test_limits_and_settings(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


def test_one_sentence_with_everything() -> None:
    entry = parse_rule("50 EMA crosses above the 200 EMA", path="rule", parameters={})
    leave = parse_rule("50 EMA crosses below the 200 EMA", path="rule", parameters={})
    text = (
        "On the daily chart, buy 100 shares of AAPL when the 50 EMA crosses above the 200 EMA, sell when the 50 EMA "
        "crosses below the 200 EMA, with a 2% stop and a 6% target."
    )
    assert said(text) == [
        ("interval", "1d"),
        ("entry", LONG, entry),
        ("sizing", "100 fixed_units"),
        ("symbol", "AAPL"),
        ("sell", BOTH, leave),
        ("stop_loss", "2%"),
        ("take_profit", "6%"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Do not buy when RSI(14) < 30",
        "Never sell when RSI(14) < 30",
        "Avoid: buy when RSI(14) < 30",
        "Example of a bad rule: buy when RSI(14) < 30",
        "Optional: stop loss 2%",
        "We could buy when RSI(14) < 30",
        "Buy when RSI(14) < 30 and momentum is fading",
        "Buy when RSI(14) < 30 unless it rains",
        "Buy when RSI(14) < 30, but only in an uptrend",
        "Buy half a position when RSI(14) < 30",
        "Sell half when RSI(14) < 30",
        "Stop loss 1-3%",
        "take_profit_pct 1-5% or trailing stop using 1-3 x ATR",
        "Stop loss 2% or 3%",
        "Buy when the moon is full",
        "RSI(14) < 30",
        "Move the stop to break-even after 1R",
        "The stop was 2% last year",
    ],
)
def test_what_says_more_than_is_understood_is_refused_whole(text: str) -> None:
    """A weaker rule would trade something that nobody wrote."""
    assert said(text) == [None]


def test_pips_and_lots_need_a_pair_of_currencies() -> None:
    gold = Context({}, "XAUUSD", "1d")
    assert said("stop loss 20 pips", gold) == [None]
    assert said("lot size of 0.1", gold) == [None]
    assert said("stop loss 20 pips", Context({}, "USDJPY", "1d")) == [("stop_loss", "distance 0.2")]
    (piece,) = read_text("stop loss 20 pips", Context({}, "", "1d"))
    assert piece.why.startswith("no instrument is named, so the size of a pip is not known")


def test_sentences_hold_the_whole_text() -> None:
    text = "Buy when RSI < 30.5. 2) Sell at 70; e.g. quickly!\n - Stop 2% \n\n *  \nEnd"
    spans = sentences(text)
    assert "".join("".join(text[slice(*span)].split()) for span in spans) == "".join(text.split())
    assert [text[slice(*span)] for span in spans] == [
        "Buy when RSI < 30.5.",
        "2) Sell at 70;",
        "e.g. quickly!",
        "- Stop 2% \n\n *",
        "End",
    ]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("x" * 200, True),
        ("x" * 199 + ".", False),
        ("x" * 250, False),
        ("Buy when…", True),
        ("Buy when RSI...", True),
    ],
)
def test_cut_texts(text: str, cut: bool) -> None:
    assert is_cut(text) is cut


def test_a_number_that_breaks_off_is_not_taken() -> None:
    """'Stop loss at 3' may have been 'Stop loss at 30 pips'."""
    rules = "Buy when RSI(14) < 30. Sell when RSI(14) > 70. "
    snippet = (rules + "A sentence about nothing in particular. " * 9)[: 200 - 17] + "Stop loss at 3.5%"
    assert len(snippet) == 200
    result = import_steps({"steps": [], "provenance": {"sources": [{"snippet": snippet}]}}, source="cut.json")
    assert "stop_loss" not in result.draft.get("risk_limits", {})
    assert "breaks off" in result.not_understood[-1].why
