"""The formal language: what it means, by its tree."""

import pytest

from domain.rules.ast import (
    Arithmetic,
    Compare,
    Cross,
    Expr,
    Indicator,
    Lag,
    Logic,
    Named,
    Negative,
    Not,
    Number,
    Parameter,
    Price,
)
from domain.rules.catalogue import ALIASES, CATALOGUE
from domain.rules.parse import parse_expression, parse_rule

PARAMETERS = {"fast": 12, "slow": 26, "dev": 2.5}
CLOSE, HIGH, VOLUME = Price("Close"), Price("High"), Price("Volume")


def one(name: str, period: float | Parameter, source: Expr | None = CLOSE) -> Indicator:
    value = period if isinstance(period, Parameter) else Number(period)
    return Indicator(name, (("period", value),), source)


def macd(line: str, fast: float = 12, slow: float = 26, signal: float = 9) -> Indicator:
    values = (("fast", Number(fast)), ("slow", Number(slow)), ("signal", Number(signal)))
    return Indicator("MACD", values, CLOSE, line)


TWO = Number(2)


def bands(line: str, dev: Number | Parameter = TWO) -> Indicator:
    return Indicator("BBANDS", (("period", Number(20)), ("dev", dev)), CLOSE, line)


EXPRESSIONS: list[tuple[str, Expr]] = [
    ("Close", CLOSE),
    ("close", CLOSE),
    ("CLOSE", CLOSE),
    ("price", CLOSE),
    ("Open + low", Arithmetic("+", Price("Open"), Price("Low"))),
    ("RSI", one("RSI", 14)),
    ("RSI()", one("RSI", 14)),
    ("rsi(14)", one("RSI", 14)),
    ("RSI(period=14)", one("RSI", 14)),
    ("RSI(length = 14)", one("RSI", 14)),
    ("RSI(Close, 14)", one("RSI", 14)),
    ("RSI(14.0)", one("RSI", 14)),
    ("RSI(1_4)", one("RSI", 14)),
    ("RSI(1.4e1)", one("RSI", 14)),
    ("SMA(Volume, 20)", one("SMA", 20, VOLUME)),
    ("SMA(source=Volume, period=20)", one("SMA", 20, VOLUME)),
    ("SMA(20, series=Volume)", one("SMA", 20, VOLUME)),
    ("SMA(fast)", one("SMA", Parameter("fast"))),
    ("EMA(RSI(14), 5)", one("EMA", 5, one("RSI", 14))),
    ("EMA(High - Low, fast)", one("EMA", Parameter("fast"), Arithmetic("-", HIGH, Price("Low")))),
    ("EMA50", one("EMA", 50)),
    ("sma_200", one("SMA", 200)),
    ("SMA 20", one("SMA", 20)),
    ("highest(High, 20)[1]", Lag(one("HIGHEST", 20, HIGH), 1)),
    ("max(High, 20)", one("HIGHEST", 20, HIGH)),
    ("ATR(14)", one("ATR", 14, None)),
    ("VWAP(48)", one("VWAP", 48, None)),
    ("OBV", Indicator("OBV", (), None)),
    ("ABS(Close - Open)", Indicator("ABS", (), Arithmetic("-", CLOSE, Price("Open")))),
    ("MACD", macd("macd")),
    ("MACD.macd", macd("macd")),
    ("MACD(12, 26, 9).signal", macd("signal")),
    ("MACD(slow=35, fast=5).hist", macd("hist", 5, 35)),
    ("MACD.HIST", macd("hist")),
    ("MACD.histogram", macd("hist")),
    ("BBANDS(20, 2)", bands("middle")),
    ("BB(20, 2).lower", bands("lower")),
    ("BBANDS(dev=dev).upper", bands("upper", Parameter("dev"))),
    ("(BBANDS).lower", bands("lower")),
    (
        "STOCH.d[2]",
        Lag(
            Indicator(
                "STOCH",
                tuple((n, Number(v)) for n, v in (("fastk", 14), ("slowk", 3), ("slowd", 3))),
                None,
                "d",
            ),
            2,
        ),
    ),
    ("Close[0]", CLOSE),
    ("Close[1][2]", Lag(CLOSE, 3)),
    ("(High + Low)[2]", Lag(Arithmetic("+", HIGH, Price("Low")), 2)),
    ("-Close", Negative(CLOSE)),
    ("--Close", Negative(Negative(CLOSE))),
    ("Close * -2", Arithmetic("*", CLOSE, Number(-2))),
    ("Close - -2", Arithmetic("-", CLOSE, Number(-2))),
    ("Close-2", Arithmetic("-", CLOSE, Number(2))),
    ("Close + 1 * 2", Arithmetic("+", CLOSE, Arithmetic("*", Number(1), Number(2)))),
    ("Close - 1 - 2", Arithmetic("-", Arithmetic("-", CLOSE, Number(1)), Number(2))),
    ("Close - (1 - 2)", Arithmetic("-", CLOSE, Arithmetic("-", Number(1), Number(2)))),
    ("Close / fast / .5", Arithmetic("/", Arithmetic("/", CLOSE, Parameter("fast")), Number(0.5))),
    ("1e-3 * Close", Arithmetic("*", Number(0.001), CLOSE)),
    ("Close\n\t *  2", Arithmetic("*", CLOSE, Number(2))),
]


@pytest.mark.parametrize(("text", "tree"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_expression(text: str, tree: Expr) -> None:
    assert parse_expression(text, parameters=PARAMETERS) == tree


UP = Compare(">", CLOSE, Price("Open"))
LOW_RSI = Compare("<", one("RSI", 14), Number(30))
BUSY = Compare(">=", VOLUME, Number(1000))

CONDITIONS = [
    ("RSI(14) < 30", LOW_RSI),
    ("RSI(14)<30", LOW_RSI),
    ("Volume >= 1_000", BUSY),
    ("Volume == 5", Compare("==", VOLUME, Number(5))),
    ("Volume != 5", Compare("!=", VOLUME, Number(5))),
    ("5 <= Volume", Compare("<=", Number(5), VOLUME)),
    ("Close crosses above SMA(20)", Cross("above", CLOSE, one("SMA", 20))),
    ("Close CROSSES BELOW fast", Cross("below", CLOSE, Parameter("fast"))),
    ("Close cross above 5", Cross("above", CLOSE, Number(5))),
    ("Close crosses over 5", Cross("above", CLOSE, Number(5))),
    ("Close crosses under 5", Cross("below", CLOSE, Number(5))),
    ("Close > Open and RSI(14) < 30", Logic("and", (UP, LOW_RSI))),
    ("Close > Open AND RSI(14) < 30 And Volume >= 1000", Logic("and", (UP, LOW_RSI, BUSY))),
    ("Close > Open and (RSI(14) < 30 and Volume >= 1000)", Logic("and", (UP, LOW_RSI, BUSY))),
    ("Close > Open or RSI(14) < 30 and Volume >= 1000", Logic("or", (UP, Logic("and", (LOW_RSI, BUSY))))),
    ("(Close > Open or RSI(14) < 30) and Volume >= 1000", Logic("and", (Logic("or", (UP, LOW_RSI)), BUSY))),
    ("not Close > Open", Not(UP)),
    ("NOT (Close > Open) or RSI(14) < 30", Logic("or", (Not(UP), LOW_RSI))),
    ("not not Close > Open", Not(Not(UP))),
    ("((Close) > (Open))", UP),
    ("RSI(14) < 30, and Close > Open", Logic("and", (LOW_RSI, UP))),
    ("Close > Open and > 5", Logic("and", (UP, Compare(">", CLOSE, Number(5))))),
    ("Close > Open.", UP),
]


@pytest.mark.parametrize(("text", "tree"), CONDITIONS, ids=[text for text, _ in CONDITIONS])
def test_condition(text: str, tree: object) -> None:
    assert parse_rule(text, parameters=PARAMETERS) == tree


def test_named_indicators_keep_their_name_and_take_a_line() -> None:
    named = {"bands": bands("middle"), "osc": one("RSI", 14)}
    read = parse_rule("Close < bands.lower and osc[1] < osc and Close > bands", indicators=named)
    assert read == Logic(
        "and",
        (
            Compare("<", CLOSE, Named("bands", bands("lower"))),
            Compare("<", Lag(Named("osc", one("RSI", 14)), 1), Named("osc", one("RSI", 14))),
            Compare(">", CLOSE, Named("bands", bands("middle"))),
        ),
    )


def test_own_names_are_exact_and_come_before_indicators() -> None:
    read = parse_rule("rsi < 30", indicators={"rsi": one("RSI", 21)})
    assert read == Compare("<", Named("rsi", one("RSI", 21)), Number(30))
    assert parse_rule("RSI(14) < 30", indicators={"rsi": one("RSI", 21)}) == LOW_RSI


def test_spans_point_into_the_text() -> None:
    text = "Close > SMA(Volume, 20)[1]"
    read = parse_rule(text)
    assert isinstance(read, Compare)
    assert isinstance(read.right, Lag)
    assert text[slice(*read.span)] == text
    assert text[slice(*read.right.span)] == "SMA(Volume, 20)[1]"
    assert text[slice(*read.right.expr.span)] == "SMA(Volume, 20)"


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_every_indicator_is_read_under_every_name_with_its_defaults(name: str) -> None:
    spec = CATALOGUE[ALIASES[name]]
    text = f"{name.lower()}(Close)" if spec.name == "ABS" else name.lower()
    assert parse_expression(text) == Indicator(
        spec.name,
        tuple((argument.name, Number(argument.default)) for argument in spec.arguments),
        CLOSE if spec.one_series else None,
        spec.default_line or spec.lines[0],
    )


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=list(CATALOGUE))
def test_every_argument_is_read_by_place_by_name_and_by_alias(spec) -> None:  # type: ignore[no-untyped-def]
    values = {argument.name: argument.default + 1 for argument in spec.arguments}
    series = "Close, " if spec.one_series else ""
    by_place = f"{spec.name}({series}{', '.join(str(value) for value in values.values())})".replace(
        ", )", ")"
    )
    expected = parse_expression(by_place)
    assert isinstance(expected, Indicator)
    assert dict(expected.args) == {name: Number(value) for name, value in values.items()}
    for which in range(
        max(1 + len(argument.aliases) for argument in spec.arguments) if spec.arguments else 0
    ):
        names = [(argument.name, *argument.aliases) for argument in spec.arguments]
        given = [
            f"{each[min(which, len(each) - 1)]}={value}"
            for each, value in zip(names, values.values(), strict=True)
        ]
        assert parse_expression(f"{spec.name}({series}{', '.join(reversed(given))})") == expected


@pytest.mark.parametrize(
    "spec", [spec for spec in CATALOGUE.values() if len(spec.lines) > 1], ids=lambda spec: spec.name
)
def test_every_line_is_read(spec) -> None:  # type: ignore[no-untyped-def]
    for line in spec.lines:
        read = parse_expression(f"{spec.name}.{line}")
        assert isinstance(read, Indicator)
        assert read.line == line
