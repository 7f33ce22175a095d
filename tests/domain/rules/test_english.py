"""Plain English means the same tree as the formal rule beside it."""

import pytest

from domain.rules.errors import RuleError
from domain.rules.parse import parse_rule

PAIRS = [
    ("Buy when the 50 EMA crosses above the 200 EMA", "EMA(50) crosses above EMA(200)"),
    ("Buy when the 50-day EMA crosses over the 200-day EMA.", "EMA(50) crosses above EMA(200)"),
    ("Sell when EMA 50 crosses under EMA 200", "EMA(50) crosses below EMA(200)"),
    ("EMA50 crosses back above EMA200", "EMA(50) crosses above EMA(200)"),
    ("close crosses EMA(20) from below", "Close crosses above EMA(20)"),
    ("close crosses EMA(20) from above", "Close crosses below EMA(20)"),
    ("close is above the 20-day SMA", "Close > SMA(20)"),
    ("close is above the 20 period moving average", "Close > SMA(20)"),
    ("price above 200 SMA", "Close > SMA(200)"),
    ("close is above the 200-day moving average", "Close > SMA(200)"),
    ("the price is over its 200-day moving average", "Close > SMA(200)"),
    ("price is higher than the 50 day simple moving average", "Close > SMA(50)"),
    ("price is under the 50-bar exponential moving average", "Close < EMA(50)"),
    ("price is lower than the 50-session weighted moving average", "Close < WMA(50)"),
    ("the closing price exceeds the 20-candle average", "Close > SMA(20)"),
    ("the opening price is below the closing price", "Open < Close"),
    ("RSI < 30", "RSI(14) < 30"),
    ("RSI is below 30", "RSI(14) < 30"),
    ("the RSI is less than 30", "RSI(14) < 30"),
    ("RSI is under 30", "RSI(14) < 30"),
    ("14-day RSI is at most 30", "RSI(14) <= 30"),
    ("the 14-period relative strength index is no more than 30", "RSI(14) <= 30"),
    ("RSI is not above 30", "RSI(14) <= 30"),
    ("RSI is less than or equal to 30", "RSI(14) <= 30"),
    ("RSI is at least 70", "RSI(14) >= 70"),
    ("RSI is greater than or equal to 70", "RSI(14) >= 70"),
    ("RSI is not below 70", "RSI(14) >= 70"),
    ("RSI is equal to 50", "RSI(14) == 50"),
    ("RSI equals 50", "RSI(14) == 50"),
    ("RSI is not equal to 50", "RSI(14) != 50"),
    ("RSI(14) drops below 30", "RSI(14) crosses below 30"),
    ("RSI(14) falls below 30", "RSI(14) crosses below 30"),
    ("RSI(14) falls back under 70", "RSI(14) crosses below 70"),
    ("RSI(14) rises above 30", "RSI(14) crosses above 30"),
    ("RSI(14) moves above 30", "RSI(14) crosses above 30"),
    ("RSI is between 30 and 70", "RSI(14) >= 30 and RSI(14) <= 70"),
    ("RSI is between 30 and 70 and close > open", "RSI(14) >= 30 and RSI(14) <= 70 and Close > Open"),
    ("RSI is not between 30 and 70", "not (RSI(14) >= 30 and RSI(14) <= 70)"),
    ("RSI is above 50 and below 70", "RSI(14) > 50 and RSI(14) < 70"),
    ("RSI is below 20 or above 80", "RSI(14) < 20 or RSI(14) > 80"),
    ("RSI is above 50 and is rising", "RSI(14) > 50 and RSI(14) > RSI(14)[1]"),
    ("RSI crosses above its 9-period EMA", "RSI(14) crosses above EMA(RSI(14), 9)"),
    ("RSI is above its previous value", "RSI(14) > RSI(14)[1]"),
    ("RSI is greater than RSI 3 bars ago", "RSI(14) > RSI(14)[3]"),
    ("price closes above the upper Bollinger band", "Close > BBANDS(20, 2).upper"),
    ("price closes below the lower bollinger band (20, 2.5)", "Close < BBANDS(20, 2.5).lower"),
    ("price crosses above the middle BB", "Close crosses above BBANDS.middle"),
    ("close is below the 10-day lower Bollinger band", "Close < BBANDS(10).lower"),
    ("close is below Bollinger's lower band", "Close < BBANDS.lower"),
    ("volume more than 1.5 times its 20-day average", "Volume > 1.5 * SMA(Volume, 20)"),
    ("volume is at least twice its 20-day average", "Volume >= 2 * SMA(Volume, 20)"),
    ("volume is less than half of its 20-day average", "Volume < 0.5 * SMA(Volume, 20)"),
    ("volume is greater than 2x the 20-day average volume", "Volume > 2 * SMA(Volume, 20)"),
    ("volume is greater than three times the 20-day volume average", "Volume > 3 * SMA(Volume, 20)"),
    ("volume is above the 20-day average of volume", "Volume > SMA(Volume, 20)"),
    ("trading volume is above the average volume over the last 20 days", "Volume > SMA(Volume, 20)"),
    ("volume is above the average of the volume of the last 20 days", "Volume > SMA(Volume, 20)"),
    ("MACD crosses above its signal line", "MACD crosses above MACD.signal"),
    ("MACD line crosses above signal line", "MACD(12, 26, 9) crosses above MACD(12, 26, 9).signal"),
    (
        "the MACD(5, 35, 5) line crosses below the signal line",
        "MACD(5, 35, 5) crosses below MACD(5, 35, 5).signal",
    ),
    ("MACD histogram is positive", "MACD.hist > 0"),
    ("the MACD's signal line is negative", "MACD.signal < 0"),
    ("the signal line of the MACD turns positive", "MACD.signal crosses above 0"),
    ("MACD crosses below the zero line", "MACD crosses below 0"),
    ("price breaks above the 20-day high", "Close crosses above highest(High, 20)[1]"),
    ("price is above the previous 20-day high", "Close > highest(High, 20)[1]"),
    ("price breaks below the 10-day low", "Close crosses below lowest(Low, 10)[1]"),
    ("close is above its 20-day high", "Close > highest(High, 20)[1]"),
    ("close is above the highest high of the last 20 bars", "Close > highest(High, 20)[1]"),
    ("close is below the lowest close of the previous 5 days", "Close < lowest(Close, 5)[1]"),
    ("the close is higher than the previous close", "Close > Close[1]"),
    ("close is higher than the previous day's close", "Close > Close[1]"),
    ("close > yesterday's high", "Close > High[1]"),
    ("today's close is above yesterday’s high", "Close > High[1]"),
    ("close is above the close 5 days ago", "Close > Close[5]"),
    ("close is above the close of 5 days ago", "Close > Close[5]"),
    ("the close is rising", "Close > Close[1]"),
    ("the 50-day SMA is falling", "SMA(50) < SMA(50)[1]"),
    ("ADX(14) greater than 25", "ADX(14) > 25"),
    ("the average directional index is above 25", "ADX > 25"),
    ("+DI crosses above -DI", "PLUS_DI crosses above MINUS_DI"),
    ("+DI(10) > -DI(10)", "PLUS_DI(10) > MINUS_DI(10)"),
    ("%K crosses above %D", "STOCH.k crosses above STOCH.d"),
    ("Stochastic %K is below 20", "STOCH.k < 20"),
    ("Williams %R is below -80", "WILLR(14) < -80"),
    ("WilliamsR(10) < -80", "WILLR(10) < -80"),
    ("Williams'R is below -80", "WILLR(14) < -80"),
    ("Williams’ %R is below -80", "WILLR(14) < -80"),
    ("the 10-day rate of change is positive", "ROC(10) > 0"),
    ("the 14-day average true range is above 2", "ATR(14) > 2"),
    ("on-balance volume is rising", "OBV > OBV[1]"),
    ("close is more than 5% above its 200-day moving average", "Close > 1.05 * SMA(200)"),
    ("close is at least 2.5 percent below the 20 EMA", "Close <= 0.975 * EMA(20)"),
    ("Buy if RSI is below 30, and the price is above the 200 SMA", "RSI(14) < 30 and Close > SMA(200)"),
    ("Enter long when price is above the 200 SMA or not RSI > 70", "Close > SMA(200) or not RSI(14) > 70"),
]


@pytest.mark.parametrize(("english", "formal"), PAIRS, ids=[english for english, _ in PAIRS])
def test_english_means_the_formal_rule(english: str, formal: str) -> None:
    assert parse_rule(english) == parse_rule(formal)


def test_the_table_is_long_enough_and_has_no_repetition() -> None:
    assert len({english for english, _ in PAIRS}) == len(PAIRS) >= 60


@pytest.mark.parametrize(("english", "formal"), PAIRS, ids=[english for english, _ in PAIRS])
def test_case_and_space_do_not_matter(english: str, formal: str) -> None:
    assert parse_rule(f"  {english.upper()}\n".replace(" ", " \t")) == parse_rule(formal)


OPENERS = [
    ("Buy when", {"entry_rules", "short_exit_rules"}),
    ("Buy the stock if", {"entry_rules", "short_exit_rules"}),
    ("Sell when", {"exit_rules", "short_entry_rules"}),
    ("Sell short when", {"short_entry_rules"}),
    ("Short if", {"short_entry_rules"}),
    ("Go short when", {"short_entry_rules"}),
    ("Buy to cover when", {"short_exit_rules"}),
    ("Cover when", {"short_exit_rules"}),
    ("Enter long when", {"entry_rules"}),
    ("Go long once", {"entry_rules"}),
    ("Enter a short position when", {"short_entry_rules"}),
    ("Enter when", {"entry_rules", "short_entry_rules"}),
    ("Exit when", {"exit_rules", "short_exit_rules"}),
    ("Exit if", {"exit_rules", "short_exit_rules"}),
    ("Close the position when", {"exit_rules", "short_exit_rules"}),
    ("Exit the long position, when", {"exit_rules"}),
    ("Close short whenever", {"short_exit_rules"}),
    ("Take profit when", {"exit_rules", "short_exit_rules"}),
]


@pytest.mark.parametrize(("opener", "lists"), OPENERS, ids=[opener for opener, _ in OPENERS])
def test_an_opening_is_held_to_its_list(opener: str, lists: set[str]) -> None:
    for name in ("entry_rules", "exit_rules", "short_entry_rules", "short_exit_rules"):
        if name in lists:
            assert parse_rule(f"{opener} RSI < 30", path=f"{name}[0]") == parse_rule("RSI < 30")
        else:
            with pytest.raises(RuleError, match=rf"doesn't belong in {name}; move the rule to ") as refused:
                parse_rule(f"{opener} RSI < 30", path=f"{name}[0]")
            assert all(each in refused.value.message for each in lists)


@pytest.mark.parametrize(
    ("interval", "good", "bad"),
    [
        (
            "1d",
            ("20-day", "20 session", "20-bar", "20 candle", "20-period"),
            ("20-week", "20-hour", "20 minute", "20-year"),
        ),
        ("1h", ("20-hour", "20-bar"), ("20-day", "20-session")),
        ("1wk", ("20-week", "20 periods"), ("20-day", "20-month")),
        ("1mo", ("20-month",), ("20-day",)),
        ("1m", ("20-minute",), ("20-hour",)),
        ("5m", ("20-bar",), ("20-minute", "20-hour")),
        ("4h", ("20-bar",), ("20-hour", "20-day")),
    ],
)
def test_a_unit_must_be_the_definitions_own_bar(
    interval: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    for span in good:
        assert parse_rule(f"close > the {span} SMA", interval=interval) == parse_rule("Close > SMA(20)")
    for span in bad:
        with pytest.raises(RuleError, match=f"a bar of this definition is {interval}"):
            parse_rule(f"close > the {span} SMA", interval=interval)


def test_yesterday_is_the_bar_before_on_daily_bars_alone() -> None:
    with pytest.raises(RuleError, match="doesn't count bars"):
        parse_rule("close > yesterday's high", interval="1h")
    assert parse_rule("close > the previous high", interval="1h") == parse_rule("Close > High[1]")
