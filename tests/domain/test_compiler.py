"""Generated modules: as a person writes them, and safe whatever the definition's texts hold."""

import ast
import json
from pathlib import Path
from typing import Any

import backtesting.test
import black
import isort
import numpy as np
import pandas as pd
import pytest
from backtesting import Strategy
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.compiler import CompileError, compile_strategy
from domain.compiler.names import STRATEGY_NAMES, Names
from domain.compiler.series import computed_series, warm_up
from domain.definitions import check_definition
from domain.indicators import compute
from domain.rules.ast import Compare, Indicator, Number, Price, Rule, Rulebook
from domain.rules.catalogue import CATALOGUE
from schemas.code import GeneratedCode
from schemas.definition import StrategyDefinition
from schemas.trading import Costs
from tests.domain.drawing import definitions, random_bars
from tests.domain.running import load, run, trades_of

ALLOWED_IMPORTS = {"backtesting", "talib", "numpy", "pandas", "math"}
SHIPPED = sorted((Path(__file__).parents[2] / "strategies").glob("*.json"))


def compiled(**changes: Any) -> GeneratedCode:
    data: dict[str, Any] = {
        "name": "Test",
        "symbol": "GOOG",
        "entry_rules": ["RSI < 30"],
        "exit_rules": ["RSI > 70"],
    }
    checked = check_definition(data | changes)
    return compile_strategy(checked.definition, checked.rulebook)


def formatted(code: str) -> str:
    return black.format_str(
        isort.code(code, profile="black", line_length=110), mode=black.Mode(line_length=110)
    )


def body(code: GeneratedCode) -> str:
    return code.code[code.code.index("    def init") :]


def test_a_plain_strategy_reads_as_a_person_would_write_it() -> None:
    code = compiled(
        name="RSI_Reversal",
        description="Buy weakness, sell strength.",
        parameters={"rsi_period": 14, "oversold": 30, "overbought": 70},
        indicators={"rsi": "RSI(rsi_period)"},
        entry_rules=["rsi < oversold"],
        exit_rules=["rsi > overbought"],
        risk_limits={"stop_loss": "2%", "max_holding_bars": 20},
    )
    assert code.entrypoint == "RSI_Reversal"
    assert code.dependencies == ["backtesting", "TA-Lib"]
    assert code.code == '''\
import talib
from backtesting import Strategy


class RSI_Reversal(Strategy):
    """Buy weakness, sell strength.

    GOOG, 1d bars. Version 1.0.0. Decided on a bar's close, filled at the next open.
    """

    rsi_period = 14
    oversold = 30
    overbought = 70

    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, self.rsi_period)

    def next(self):
        price = self.data.Close[-1]

        # entry_rules[0]: rsi < oversold
        enter = self.rsi[-1] < self.oversold

        # exit_rules[0]: rsi > overbought
        leave = self.rsi[-1] > self.overbought

        if self.position:
            if leave or len(self.data) - self.trades[0].entry_bar >= 20:
                self.position.close()
        elif enter:
            stop = price * 0.98
            self.buy(size=0.95, sl=stop)
'''


def test_both_sides() -> None:
    code = compiled(
        entry_rules=["EMA(20) crosses above EMA(50)"],
        exit_rules=[],
        short_entry_rules=["EMA(20) crosses below EMA(50)"],
        risk_limits={"trailing_stop": "3 ATR(14)"},
    )
    text = body(code)
    assert "enter_long = self.ema_20[-2] <= self.ema_50[-2] and self.ema_20[-1] > self.ema_50[-1]" in text
    assert "if self.position.is_long:\n            if enter_short:\n" in text
    assert "trade.sl = min(trade.sl, price + 3 * self.atr[-1])" in text
    assert text.index("trade.sl") < text.index(
        "self.position.close()"
    ), "a stop moved later would be served first"


def test_the_same_indicator_is_computed_once_and_lines_are_unpacked() -> None:
    code = compiled(
        indicators={"strength": "RSI(14)"},
        entry_rules=["strength < 30", "RSI(14)[2] < RSI", "MACD.hist > 0 and MACD.signal < 0"],
        exit_rules=["strength > 70"],
    )
    assert code.code.count("talib.RSI") == 1
    assert code.code.count("talib.MACD") == 1
    assert "self.macd, self.macd_signal, self.macd_hist = self.I(talib.MACD" in code.code
    assert "self.strength[-3] < self.strength[-1]" in code.code


@pytest.mark.parametrize(
    ("rule", "init", "test"),
    [
        ("EMA(RSI(14), 5) > 50", "self.ema_rsi = self.I(talib.EMA, self.rsi, 5)", "self.ema_rsi[-1] > 50"),
        ("SMA(Volume, 20) > 5", "self.I(talib.SMA, self.data.Volume, 20)", "self.sma_volume[-1] > 5"),
        (
            "Close > highest(High, 20)[1]",
            "self.I(talib.MAX, self.data.High, 20)",
            "price > self.highest_high[-2]",
        ),
        (
            "SMA(High - Low, 5) > 1",
            "self.I(talib.SMA, self.data.High - self.data.Low, 5)",
            "self.sma[-1] > 1",
        ),
        ("SMA(Close[3], 5) > 1", "self.I(talib.SMA, self.data.Close.s.shift(3), 5)", "self.sma[-1] > 1"),
        (
            "SMA(Close / Volume, 5) > 1",
            "self.I(talib.SMA, pd.Series(ratio(self.data.Close",
            "self.sma[-1] > 1",
        ),
        ("VWAP(20) < Close", "self.vwap = self.I(vwap, self.data.High", "self.vwap[-1] < price"),
        ("abs(Close - Open) > 2", "pass", "abs(price - self.data.Open[-1]) > 2"),
        ("Close != Open", "pass", "price < self.data.Open[-1] or price > self.data.Open[-1]"),
        ("not (Close < Open)", "pass", "price >= self.data.Open[-1]"),
        ("not (Close < Open and High > 5)", "pass", "price >= self.data.Open[-1] or self.data.High[-1] <= 5"),
        ("Close - (Open - Low) > 0", "pass", "price - (self.data.Open[-1] - self.data.Low[-1]) > 0"),
        ("Close > Close[7]", "pass", "price > past(self.data.Close, 7)"),
        ("Close / Open > 1.01", "pass", "price / self.data.Open[-1] > 1.01"),
        (
            "Close / (Open - Low) > 1.01",
            "pass",
            "ratio(price, self.data.Open[-1] - self.data.Low[-1]) > 1.01",
        ),
        ("-Close < -5", "pass", "-price < -5"),
    ],
)
def test_forms(rule: str, init: str, test: str) -> None:
    code = compiled(entry_rules=[rule], exit_rules=["Close > 1"]).code
    assert init in code
    assert test in code
    load(GeneratedCode(code=code, entrypoint="Test"))


def test_sizes() -> None:
    def order(mode: str, value: float, **risk: Any) -> str:
        return body(compiled(position_sizing={"mode": mode, "value": value}, risk_limits=risk))

    assert "self.buy(size=0.95)" in order("percent_of_equity", 95)
    assert "self.buy(size=0.9999)" in order("percent_of_equity", 100), "1 would be one unit"
    assert "self.buy(size=0.3)" in order("percent_of_equity", 95, max_position=30)
    assert "self.buy(size=self.order_size(100))" in order("fixed_units", 100)
    cash = order("fixed_cash", 10_000, max_position=25)
    assert "units = 10000 // price" in cash
    assert "return units if units * self.data.Close[-1] <= 0.25 * self.equity else 0.25" in cash
    assert "units = self.equity * 0.01 // (price - stop)" in order("risk_percent", 1, stop_loss="2%")


def test_clashing_names_get_a_safe_one_everywhere() -> None:
    taken = ["data", "equity", "position", "buy", "orders", "trades", "init", "next", "talib", "max", "ready"]
    code = compiled(
        parameters=dict.fromkeys(taken, 5),
        entry_rules=[f"Close > {name}" for name in taken],
        indicators={"order_size": "SMA(next)", "stop": "Close - Open"},
        exit_rules=["Close < order_size", "stop > 1"],
        position_sizing={"mode": "fixed_units", "value": 5},
    )
    assert "price > self.data_" in code.code
    assert "self.order_size_ = self.I(talib.SMA, self.data.Close, self.next_)" in code.code
    assert "stop_ = price - self.data.Open[-1]" in code.code
    assert not STRATEGY_NAMES & {
        node.id for node in ast.walk(ast.parse(code.code)) if isinstance(node, ast.Name)
    }
    run(code, random_bars(1, 60), Costs())


@pytest.mark.parametrize("name", ["Strategy", "talib", "int", "vwap", "ratio"])
def test_a_class_name_that_clashes(name: str) -> None:
    code = compiled(name=name, entry_rules=["Close / Volume > VWAP(3)"])
    assert code.entrypoint == f"{name}_"
    assert trades_of(run(code, random_bars(2, 60), Costs())) == []


def test_strategy_names_are_those_of_backtesting() -> None:
    assert {name for name in dir(Strategy) if not name.startswith("_")} == STRATEGY_NAMES


def test_named_formulas_become_variables_in_order_of_need() -> None:
    code = compiled(
        indicators={"wide": "gap * 2", "gap": "Close - Open"},
        entry_rules=["wide > 1", "gap > 1"],
        exit_rules=["wide < 0"],
    )
    text = body(code)
    assert text.index("gap = price") < text.index("wide = gap * 2")
    run(code, random_bars(1, 60), Costs())


HOSTILE = [
    '"""\nimport os\nos.system("true")\n"""',
    "\\",
    'ends with a quote"',
    'many """""" quotes \\""" and \\\\',
    "new\nline\r\nand\rreturn\x0band\x0cfeed",
    "next\u2028line\u2029and\x85more",
    "bidi \u202e\u2066 and zero \u200b width",
    "null \x00 and escape \x1b[31m",
    "\ud800 lone surrogate",
    "# comment\n    def next(self): pass",
    "Grüße 日本語 🚀",
    "{braces} %s {0!r}",
    " " * 50,
    "x" * 4000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(text: str) -> None:
    assert_contained(text)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.text(st.one_of(st.sampled_from("\"'\\#\n\r\u2028\x0c\x00 {}"), st.characters()), max_size=60))
def test_any_text_stays_text(text: str) -> None:
    assert_contained(text)


def assert_contained(text: str) -> None:
    """The texts of a definition change nothing but comments and docstrings."""
    rule = Rule("entry_rules[0]", text, Compare("<", Price("Close"), Price("Open")))
    definition = StrategyDefinition.model_construct(
        **StrategyDefinition(
            name="Test", symbol="X", entry_rules=["Close < Open"], exit_rules=["Close > Open"]
        ).__dict__
        | {"description": text, "notes": text}
    )
    book = Rulebook((rule,), (Rule("exit_rules[0]", text, rule.condition),), (), ())
    code = compile_strategy(definition, book).code
    code.encode("utf-8")
    assert code.isascii() or "\u202e" not in code
    (strategy,) = [node for node in ast.parse(code).body if isinstance(node, ast.ClassDef)]
    assert [type(node) for node in strategy.body] == [ast.Expr, ast.FunctionDef, ast.FunctionDef]
    assert ast.unparse(ast.Module(strategy.body[1:], [])) == (
        "def init(self):\n    pass\n\n"
        "def next(self):\n    price = self.data.Close[-1]\n    enter = price < self.data.Open[-1]\n"
        "    leave = price < self.data.Open[-1]\n    if self.position:\n        if leave:\n"
        "            self.position.close()\n    elif enter:\n        self.buy(size=0.95)"
    )
    once = formatted(code)
    assert formatted(once) == once
    assert ast.dump(ast.parse(once).body[-1].body[-1]) == ast.dump(strategy.body[-1])  # type: ignore[attr-defined]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(definitions())
def test_any_definition_gives_clean_code(drawn: tuple[StrategyDefinition, Rulebook]) -> None:
    definition, book = drawn
    code = compile_strategy(definition, book)
    assert compile_strategy(definition, book) == code
    tree = ast.parse(code.code)
    imports = {
        (alias.asname or alias.name): (node.module if isinstance(node, ast.ImportFrom) else alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert set(imports.values()) <= ALLOWED_IMPORTS
    used = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    stored = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert set(imports) <= used, "an import is unused"
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions <= used, "a helper is unused"
    assert stored - set(definition.parameters) - {"data_", "size", "stop", "hold"} <= used | {
        "data_"
    }, "a variable is unused"
    once = formatted(code.code)
    assert formatted(once) == once
    assert ast.dump(ast.parse(once)) == ast.dump(tree)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_definitions_compile_to_code_that_trades(path: Path) -> None:
    checked = check_definition(json.loads(path.read_text(encoding="utf-8")))
    code = compile_strategy(checked.definition, checked.rulebook)
    bars = getattr(backtesting.test, checked.definition.symbol).astype(float)
    assert trades_of(run(code, bars, Costs()))


@pytest.mark.parametrize(
    "spec", [spec for spec in CATALOGUE.values() if spec.name != "ABS"], ids=lambda spec: spec.name
)
def test_warm_up_is_where_the_values_begin(spec: Any) -> None:
    bars = random_bars(5, 200)
    bars["Volume"] += 1
    args = tuple(
        (argument.name, Number(float(max(argument.minimum, 5 + index))))
        for index, argument in enumerate(spec.arguments)
    )
    source = Price("Close") if spec.one_series else None
    call = Indicator(spec.name, args, source, "")
    inputs = [bars[column].to_numpy(dtype=float) for column in spec.columns or ("Close",)]
    for line in compute(spec.name, {name: number.value for name, number in args}, *inputs):
        assert int(np.argmin(np.isnan(line))) == warm_up(call, {})


def test_too_few_bars_for_one_indicator_decide_nothing() -> None:
    """backtesting.py alone would trade here, as it doesn't wait for an indicator that never has a value."""
    code = compiled(
        entry_rules=["Close > 1"], exit_rules=["Close < SMA(200)"], risk_limits={"max_holding_bars": 3}
    )
    assert "self.ready" in code.code
    assert trades_of(run(code, random_bars(1, 150), Costs())) == []
    assert trades_of(run(code, random_bars(1, 250), Costs()))


@pytest.mark.parametrize(
    ("rule", "guarded"),
    [
        ("Close > 1 or Close > SMA(200)", True),
        ("not (Close < 1 and Close < SMA(200))", True),
        ("not (Close < 1 or Close < SMA(200))", False),
        ("Close > 1 and Close > SMA(200)", False),
    ],
)
def test_a_rule_that_may_hold_without_an_indicator_is_guarded(rule: str, guarded: bool) -> None:
    code = compiled(entry_rules=[rule], exit_rules=["Close < 1"])
    assert ("self.ready" in code.code) is guarded
    assert trades_of(run(code, random_bars(1, 150), Costs())) == []


def test_no_guard_where_a_slower_indicator_guards_already() -> None:
    code = compiled(entry_rules=["Close > SMA(200)"], exit_rules=["RSI(14) > 70"])
    assert "ready" not in code.code


@pytest.mark.parametrize(
    ("value", "said"), [(float("inf"), "finite"), (float("nan"), "finite"), (2**60, "digits")]
)
def test_numbers_python_cannot_hold_are_refused(value: float, said: str) -> None:
    definition = StrategyDefinition(
        name="Test",
        symbol="X",
        parameters={"huge": value},
        entry_rules=["Close > huge"],
        exit_rules=["Close < 1"],
    )
    rule = Rule("entry_rules[0]", "Close > huge", Compare(">", Price("Close"), Number(1)))
    with pytest.raises(CompileError, match=f"parameters.huge .*{said}"):
        compile_strategy(definition, Rulebook((rule,), (rule,), (), ()))


def test_a_period_given_as_a_float_becomes_whole() -> None:
    code = compiled(parameters={"n": 14.0}, entry_rules=["RSI(n) < 30"])
    assert "    n = 14\n" in code.code
    run(code, random_bars(1, 60), Costs())


def test_every_computed_series_is_used_by_its_own_name() -> None:
    checked = check_definition(
        {
            "name": "T",
            "symbol": "X",
            "entry_rules": ["SMA(5) > SMA(6)", "SMA(High, 5) > SMA(7)"],
            "exit_rules": ["SMA(5) < 1"],
        }
    )
    series = computed_series(checked.definition, checked.rulebook, Names(()))
    assert [computed.attributes for computed in series] == [
        ("sma_5",),
        ("sma_6",),
        ("sma_high_5",),
        ("sma_7",),
    ]


def test_bars_are_left_alone() -> None:
    bars = random_bars(1, 60)
    before = bars.copy()
    run(compiled(entry_rules=["VWAP(3) > 1", "SMA(Close / Volume, 3) > 0"]), bars, Costs())
    pd.testing.assert_frame_equal(bars, before)
