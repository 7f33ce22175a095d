"""What is refused, where the finger points, and what is suggested instead."""

import pickle

import pytest

from domain.rules.errors import RuleError
from domain.rules.parse import parse_expression, parse_rule

PARAMETERS = {"fast": 12, "slow": 26, "uneven": 1.5, "one": 1, "naught": 0}
INDICATORS = {"bands": parse_expression("BBANDS(20, 2)"), "rsi": parse_expression("RSI(21)")}

REFUSED = [
    # text, what is pointed at, part of the message, part of the suggestion
    ("RSI(14) = 30", "=", "'=' doesn't compare", "RSI(14) == 30"),
    ("RSI(14) => 30", "=>", "not a comparison", "RSI(14) >= 30"),
    ("RSI(14) ≤ 30", "≤", "not a comparison", "RSI(14) <= 30"),
    ("RSI(14) <> 30", "<>", "not a comparison", "RSI(14) != 30"),
    ("RSI(14) === 30", "===", "doesn't compare", "RSI(14) == 30"),
    ("RSI(14) < 30 && Close > 5", "&&", "join", "RSI(14) < 30 and Close > 5"),
    ("RSI(14) < 30 || Close > 5", "||", "join", "RSI(14) < 30 or Close > 5"),
    ("RSI(14) < 30 adn Close > 5", "adn", "not understood", "RSI(14) < 30 and Close > 5"),
    ("RSI(14) < 30 while Close > 5", "while", "join", "RSI(14) < 30 and Close > 5"),
    ("! RSI(14) < 30", "!", "not understood", "not RSI(14) < 30"),
    ("RSI(14) crosess above 30", "crosess above", "not understood", "RSI(14) crosses above 30"),
    ("RSI(14) is oversold", "is oversold", "'oversold' is not defined", "RSI(14) < 30"),
    ("RSI(14) is overbought", "is overbought", "'overbought' is not defined", "RSI(14) > 70"),
    ("Close touches SMA(20)", "touches", "not exact", "crosses above"),
    ("RIS(14) < 30", "RIS", "is not an indicator", "RSI(14) < 30"),
    ("Clsoe > 5", "Clsoe", "is not a field", "Close > 5"),
    ("Close > fsat", "fsat", "name of this definition", "Close > fast"),
    ("Close > Fast", "Fast", "is not", "Close > fast"),
    ("RSI(14)", "RSI(14)", "a number, not a condition", "RSI(14) >"),
    ("Close > 5 and Volume", "Volume", "a number, not a condition", "Volume >"),
    ("not Close", "Close", "a number, not a condition", ""),
    ("(RSI(14) < 30) > 2", "(RSI(14) < 30)", "is a condition", ""),
    ("RSI(14)<30 + 1>2", ">2", "can't be chained", "and"),
    ("30 < RSI(14) < 70", "< 70", "can't be chained", "30 < RSI(14) and"),
    ("Close crosses above 5 crosses below 6", "crosses below 6", "can't be chained", ""),
    ("Close crosses SMA(20)", "crosses", "above or below?", "Close crosses above SMA(20)"),
    ("Close[-1] > 5", "-1", "looks ahead", "Close[1]"),
    ("Close[1.5] > 5", "1.5", "whole number", "Close[1]"),
    ("Close[fast] > 5", "fast", "whole number", "Close[1]"),
    ("Close[100001] > 5", "100001", "at most 100000", ""),
    ("5[1] < Close", "5[1]", "no past bars", ""),
    ("fast[1] < Close", "fast[1]", "no past bars", ""),
    ("(Close > 5)[1] > 2", "(Close > 5)", "is a condition", ""),
    ("RSI(14, 3) < 30", "3", "takes 1 number; write RSI([series], period=14)", ""),
    ("ATR(Close, 14) < 3", "Close", "computed from High, Low, Close and takes no series", ""),
    ("OBV(3) < 3", "3", "takes no number", ""),
    ("SMA(20, Close) < 5", "Close", "comes first", "SMA(Close, 30)"),
    ("SMA(Close, Open) < 5", "Open", "comes first", ""),
    ("SMA(20.5) < Close", "20.5", "must be a whole number", ""),
    ("SMA(uneven) < Close", "uneven", "parameter uneven = 1.5", ""),
    ("SMA(1) < Close", "1", "at least 2", ""),
    ("SMA(one) < Close", "one", "at least 2, not parameter one = 1", ""),
    ("SMA(-5) < Close", "-5", "at least 2", ""),
    ("SMA(100001) < Close", "100001", "at most 100000", ""),
    ("SMA(fast + 1) < Close", "fast + 1", "or the name of a parameter", ""),
    ("SMA(perod=20) < Close", "perod", "no argument 'perod'", "period=20"),
    ("SMA(20, period=20) < Close", "20", "given twice", ""),
    ("SMA(Close, 20, source=Open) < Close", "Open", "given twice", ""),
    ("ATR(source=Close) < 5", "Close", "takes no series", ""),
    ("SMA(source=5) < Close", "5", "must change from bar to bar", ""),
    ("MACD(26, 12) > 0", "MACD(26, 12)", "must be less than slow", "MACD(12, 26)"),
    ("MACD(slow, fast) > 0", "MACD(slow, fast)", "must be less than slow", "MACD(fast, slow)"),
    ("BBANDS(20, 0).upper < Close", "0", "at least 0.01", ""),
    ("MACD.sginal > 0", ".sginal", "its lines are macd, signal, hist", ".signal"),
    ("RSI(14).signal > 0", ".signal", "a single line", ""),
    ("bands.uper < Close", ".uper", "upper, middle, lower", ".upper"),
    ("Close.upper > 5", ".upper", "no lines", ""),
    ("bands[1].upper > 5", ".upper", "no lines", ""),
    ("BBANDS.upper.lower > 5", ".lower", "no lines", ""),
    ("RSI < 30", "RSI", "'rsi' or the indicator RSI(14)", "rsi or RSI(14)"),
    ("fast(3) > Close", "fast", "takes no arguments", ""),
    ("Close(3) > 5", "Close", "past bars are written 'Close[1]'", ""),
    ("ABS > 3", "ABS", "needs a series", "ABS(Close - Open)"),
    ("fast < slow", "fast < slow", "always or never true", ""),
    ("5 crosses above 4", "5 crosses above 4", "always or never true", ""),
    ("Close / 0 > 5", "0", "divides by zero", ""),
    ("Close / naught > 5", "naught", "divides by zero", ""),
    ("Close > 1e400", "1e400", "too large", ""),
    (f"Close > {'9' * 400} times Open", f"{'9' * 400} times", "too large", ""),
    (f"Close is more than {'9' * 400}% above Open", f"{'9' * 400}%", "too large", ""),
    ("Close > 1,000", "1,000", "not thousands", "Close > 1_000"),
    ("Close > 1.2.3", "1.2.3", "not understood", ""),
    ("Close > 0x10", "0x10", "not understood", ""),
    ("Close > 30%", "30%", "a percentage has no meaning here", "Close > 30"),
    ("Close is 5% above SMA(200)", "is 5% above", "exact", "is more than 5% above SMA(200)"),
    ("Close > 5% > Open", "> 5% >", "a percentage is understood as", ""),
    ("Close ** 2 > 5", "** 2"[:2], "no powers", ""),
    ("Close > “5”", "“", "not understood", ""),
    ("Close > 5; Open > 3", ";", "not understood", ""),
    ("Close > 5 Open", "5 Open", "not defined", ""),
    ("Close > 5)", ")", "not understood", ""),
    ("(Close > 5", "", "stops too early; ')'", "(Close > 5)"),
    ("Close >", "", "stops too early", ""),
    ("and Close > 5", "and", "not understood", ""),
    ("Close > 5 and", "", "stops too early", ""),
    ("Buy RSI(14) < 30", "Buy", "followed by 'when'", "Buy when RSI(14) < 30"),
    ("above 5", "above 5", "doesn't say what is compared", ""),
    ("(Close > 5 or Open > 5) and below 9", "below 9", "doesn't say what is compared", ""),
    ("its 20-day average > 5", "its", "there is none", ""),
    ("Close > its average", "average", "of how many bars", ""),
    ("Close > the moving average", "moving average", "of how many bars", "20-bar moving average"),
    ("Close > its bands", "its bands", "can't be joined", ""),
    ("Close > the the Open", "the", "one article too many", ""),
    ("Volume > the 20-day average", "20-day average", "of Volume ('its'), or of Close", "its 20-day average"),
    ("RSI(14) > the 20-day moving average", "20-day moving average", "of what", "its 20-day"),
    ("Close > the 20-day close", "20-day close", "not defined", "20-day average of close"),
    ("Close > the 20-day MACD", "20-day MACD", "no single period", "MACD("),
    ("Close > 2.5 EMA", "2.5", "must be whole", ""),
    ("price is higher than 3 days ago", "3 days ago", "what, 3 days ago?", "the close 3 days ago"),
    ("Close > signal line", "signal line", "of what", "MACD signal line"),
    ("RSI(14) is between 70 and 30", "70 and 30", "above the second", "30 and 70"),
    ("RSI(14) < 30 for 3 bars", "for", "one bar", ""),
    ("RSI(14) crosses above 30 within 5 bars", "within", "one bar", ""),
    ("volume 1.5 times its 20-day average", "times", "a comparison is missing", "more than 1.5 times"),
    ("Close > $50", "$", "without a currency", "50"),
    ("Close > bands's lower", "'s", "names no line", "bands.lower"),
    ("Close > MACD . signal", ". ", "without a space", "Close > MACD .signal"),
    ("Close is near SMA(20)", "is near", "not exact", ""),
    ("Close > Open stop", "stop", "risk_limits", "stop 2% below entry"),
    ("__import__('os')", "'", "not understood", ""),
    ("Close > 5 # comment", "#", "not understood", ""),
    (
        "\N{CYRILLIC CAPITAL LETTER ES}lose > 5",
        "\N{CYRILLIC CAPITAL LETTER ES}lose",
        "is not a field",
        "Close > 5",
    ),
    ("Close\N{ZERO WIDTH SPACE} > 5", "\N{ZERO WIDTH SPACE}", "not understood", ""),
    ("Close > 5\0", "\0", "not understood", ""),
    ("日経 > 5", "日経", "is not a field", ""),
]


@pytest.mark.parametrize(("text", "place", "message", "suggestion"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(text: str, place: str, message: str, suggestion: str) -> None:
    with pytest.raises(RuleError) as refused:
        parse_rule(text, path="entry_rules[3]", parameters=PARAMETERS, indicators=INDICATORS)
    error = refused.value
    assert error.text[slice(*error.span)] == place
    assert message in error.message
    assert suggestion in error.suggestion
    assert suggestion or not error.suggestion or error.suggestion != text


def test_the_error_names_the_rule_and_points_at_the_place() -> None:
    with pytest.raises(RuleError) as refused:
        parse_rule("Close > 5 and RIS(14) < 30", path="exit_rules[1]")
    assert str(refused.value) == (
        "exit_rules[1]: 'RIS' is not an indicator\n"
        "    Close > 5 and RIS(14) < 30\n"
        "                  ^^^\n"
        "  nearest understood: Close > 5 and RSI(14) < 30"
    )
    assert refused.value.found == "RIS"


def test_of_a_long_rule_the_part_around_the_place_is_shown() -> None:
    text = "Close > 5 and " * 30 + "RIS(14) < 30" + " and Close > 5" * 30
    with pytest.raises(RuleError) as refused:
        parse_rule(text)
    _, shown, caret, *_ = str(refused.value).splitlines()
    assert len(shown) < 110
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "RIS"


def test_what_can_not_be_printed_is_shown_as_a_mark() -> None:
    with pytest.raises(RuleError) as refused:
        parse_rule("Close > \x1b[31m 5")
    assert "\x1b" not in str(refused.value).splitlines()[1]


def test_an_error_survives_pickling() -> None:
    with pytest.raises(RuleError) as refused:
        parse_rule("RIS(14) < 30", path="entry_rules[0]")
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


def test_an_expression_must_change_from_bar_to_bar() -> None:
    with pytest.raises(RuleError, match="make it a parameter"):
        parse_expression("fast * 2", parameters=PARAMETERS)
    with pytest.raises(RuleError, match="is a condition"):
        parse_expression("(Close > 5)")


def test_an_opening_does_not_stand_in_an_expression() -> None:
    with pytest.raises(RuleError):
        parse_expression("Buy when Close", path="indicators.x")


def test_a_minus_before_a_parameter_named_di_is_no_indicator() -> None:
    with pytest.raises(RuleError, match="DI"):
        parse_rule("Close > -DI", parameters={"DI": 3})
