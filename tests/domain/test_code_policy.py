"""The code policy: what honest strategies use is never blocked, what hostile ones try is refused by name and line."""

import ast
import re
import sys
import time
import types
from pathlib import Path

import pytest
from backtesting import Backtest, Strategy
from backtesting.test import GOOG
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.code_policy import (
    MAX_CHARACTERS,
    MAX_FINDINGS,
    READING,
    RULES,
    UnreadableCode,
    check_code,
    describe_code,
    read_code,
)
from schemas.code import CodeMetadata, Severity
from tests.domain.code_corpus import CORPUS, HONEST, HOSTILE, MALFORMED, Example


def text_of(path: Path) -> str:
    """As it is: line ends too."""
    return path.read_bytes().decode("utf-8")


GOOD = text_of(CORPUS / "honest" / "plain_rsi.py")


def inside(statement: str) -> str:
    """An honest module with one more statement in `next`."""
    return GOOD + "\n".join("        " + line for line in statement.split("\n")) + "\n"


def test_corpora_are_of_size_and_each_hostile_file_has_a_technique_of_its_own() -> None:
    assert len(HONEST) >= 40
    assert len(HOSTILE) >= 200
    assert len({example.technique for example in HOSTILE}) == len(HOSTILE)
    assert all(example.technique and example.ends for example in HOSTILE)
    bodies = {re.sub(r"\s|#.*", "", example.code) for example in HOSTILE}
    assert len(bodies) == len(HOSTILE)


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_honest_code_is_never_blocked(path: Path) -> None:
    assert check_code(text_of(path)) == []


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_the_honest_corpus_is_real(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each strategy of it runs, and trades."""
    module = types.ModuleType("honest_strategy")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(text_of(path), path.name, "exec"), module.__dict__)
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__
    ]
    stats = Backtest(GOOG.iloc[:500], classes[-1], cash=1_000_000, finalize_trades=True).run()
    assert stats["# Trades"] > 0
    assert check_code(text_of(path), classes[-1].__name__) == []


@pytest.mark.parametrize("example", HOSTILE, ids=lambda example: example.name)
def test_hostile_code_is_refused_for_its_own_reason(example: Example) -> None:
    """Nothing but what the file is about is found: it can't pass for refused because of a slip in it."""
    findings = [f for f in check_code(example.code, "Hostile") if f.severity is Severity.ERROR]
    rules = {finding.rule for finding in findings}
    assert example.rules[0] in rules
    assert rules <= set(example.rules)
    for finding in findings:
        assert 1 <= finding.line <= example.code.count("\n") + 1
        assert finding.column >= 1
        assert finding.message
        assert finding.why
        assert finding.instead


@pytest.mark.parametrize("example", MALFORMED, ids=lambda example: example.name)
def test_what_is_no_module_is_called_by_its_name(example: Example) -> None:
    (finding,) = check_code(example.code, "Hostile")
    assert finding.rule == example.rules[0]
    assert 1 <= finding.line <= example.code.count("\n") + 1
    assert finding.column >= 1
    assert finding.message
    assert finding.why
    assert finding.instead


@pytest.mark.parametrize(
    ("code", "line", "column", "rule"),
    [
        (inside("x = 1\neval('1')"), 21, 9, "dynamic_code"),
        (inside("y = (self\n     .data\n     .df.to_csv('x'))"), 22, 18, "io"),
        ("import os\n" + GOOD, 1, 1, "import"),
        (GOOD.replace("def next(self):", "def next(self:"), 15, 13, "syntax"),
        (GOOD + "```\n", 20, 1, "code_fence"),
    ],
)
def test_places(code: str, line: int, column: int, rule: str) -> None:
    findings = check_code(code)
    assert [(f.line, f.column, f.rule) for f in findings] == [(line, column, rule)]


def test_a_finding_tells_everything() -> None:
    (finding,) = check_code(inside("open('/etc/passwd')"))
    assert str(finding) == "20:9: error io: the built-in 'open' may not be used"
    assert finding.why == "a strategy sees its data as self.data and nothing else"
    assert finding.instead == "use self.data; print what should be seen"


@pytest.mark.parametrize("code", ["", " \n\n\t", "\n" * 1000])
def test_empty(code: str) -> None:
    assert [finding.rule for finding in check_code(code)] == ["empty"]


def test_only_comments_is_no_strategy() -> None:
    assert [finding.rule for finding in check_code("# nothing\n")] == ["entrypoint"]


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("x" * (MAX_CHARACTERS + 1), "size"),
        ("(" * 10_000, "nesting"),
        ("(" * 100_000, "size"),
        ("x = " + "[" * 200 + "]" * 200, "nesting"),
        ("x = " + "not " * 4_000 + "1", "nesting"),
        ("x = " + "-" * 15_000 + "1", "nesting"),
        ("x = (" + "-\n" * 25_000 + "1)", "nesting"),
        ("x = (" + "+\n".join(["1"] * 15_000) + ")", "nesting"),
        ("x = (a" + "()\n" * 15_000 + ")", "nesting"),
        ("x = (a" + ".b\n" * 15_000 + ")", "nesting"),
        ("x = (a" + "[0]\n" * 10_000 + ")", "nesting"),
        ("x = (" + "lambda:\n" * 15_000 + "1)", "nesting"),
        ("x = (" + "1 if 1 else\n" * 10_000 + "1)", "nesting"),
        ("x = (" + "await\n" * 10_000 + "a)", None),
        ("x = " + "f(lambda: [a for b in {c: " * 20 + "1" + "}])" * 20, "nesting"),
        ("x = a" + "[a" * 61 + "]" * 61, "nesting"),
        ("x = " + "f'{" * 30 + "1" + "}'" * 30, None),
        ("\\\n" * 100_000 + "x = 1", None),
        ("x = 1" + "\f" * 10_000, None),
        ("@a\n" * 9_000 + "def f(): pass", None),
        ("x = " + "{" * 4_000, "nesting"),
        ("x = '" + "{" * 19_000 + "'", "size"),
        ("x = " + "'a' " * 4_000, None),
        ("\r" * 10_000, "empty"),
        ("if 1:\n    pass\n" + "elif 1:\n    pass\n" * 5_000, "nesting"),
        ("\n".join(" " * level + "if 1:" for level in range(99)) + " pass", "nesting"),
        ("\n".join(" " * level + "if 1:" for level in range(300)) + " pass", "indentation"),
        ("x = " + "9" * 5_000, "syntax"),
        ("x = " + "9" * 50_000, "size"),
        ("x = 1\n" * 40_000, "size"),
        ("x = '" + "a" * 50_000 + "'", "size"),
        ("x = f'" + "{a}" * 6_000 + "'", "size"),
        ("x = f'" + '{f"' * 30 + '"}' * 30 + "'", None),
        ("x = '\\N{" + "A" * 10_000 + "}'", None),
        ("a\0b", "encoding"),
        ("x = '\ud800'", "encoding"),
        ("\ufeffimport numpy", "encoding"),
        ("import numpy  # \u200b", "hidden_text"),
        ("\ufffd" + GOOD, "encoding"),
        ("#!/usr/bin/python\n# vim: set fileencoding=utf-7 :\n", "encoding"),
    ],
    ids=lambda value: repr(value)[:18],
)
def test_bounds(code: str, rule: str | None) -> None:
    findings = check_code(code)
    assert findings
    if rule:
        assert findings[0].rule == rule


def test_utf_8_may_be_declared() -> None:
    assert check_code("# -*- coding: utf-8 -*-\n" + GOOD) == []


def test_findings_are_bounded() -> None:
    assert len(check_code(inside("\n".join(["eval('1')"] * 1000)))) == MAX_FINDINGS


@pytest.mark.parametrize(
    "statement",
    [
        "open = 1\nprint(open)",
        "x = [open for open in self.data.Open]",
        "f = lambda input: input + 1",
        "try:\n    pass\nexcept ValueError as exit:\n    print(exit)",
        "def helper(vars, *compile, **help):\n    return vars, compile, help",
        "print(type(self).__name__, self.__class__.__name__)",
        "text = 'a ``` fence and {braces} and __init'",
        "'''Talks of {0.__class__} and __globals__.'''",
        "print('{:>8.2f} {name[0]} {x.real}'.format(1.0, name='ab', x=1))",
        "print('{}%'.format(3), '%s' % 3, f'{self.rsi[-1]:.{2}f}')",
        "if hasattr(self, 'count'):\n    setattr(self, 'count', getattr(self, 'count', 0) + 1)",
        "self.gc = self.signal = self.platform = self.code = self.time = 0",
        "self.data.df.query('Close > Open and Volume > 1000')",
        "x = getattr(self.data, 'Close')[-1]",
        "self._cash = self._equity = 0\nself.__private = 1",
        "while True:\n    if self.position:\n        break",
        "while True:\n    for x in (1, 2):\n        pass\n    else:\n        break",
        "def numbers():\n    while True:\n        yield 1\nnext(numbers())",
        "x = 2 ** 10 * 1e9 + 10 ** 12 + (1 << 40)\ny = '-' * 80 + 'ab' * len('x')\nz = [0.0] * len(self.data)",
        "print(self.data.df.describe().to_string())",
        "self.data.df.agg('mean')\nself.data.df.apply(lambda c: c.max())",
        "x = self.data.df.copy()\nx['Close'] = 1.0",
        "self.base = 1\nprint(self.base)",
        "def helper(x: 'list[int]') -> 'float | None':\n    return None",
        "text = '{price:.2f} {trade.size}'.format(price=1.0, trade=self)",
    ],
)
def test_not_blocked(statement: str) -> None:
    assert check_code(inside(statement)) == []


def test_a_branch_below_the_main_guard_is_still_below_it() -> None:
    below = (
        'if __name__ == "__main__":\n    from backtesting.test import GOOG\n    bt = Backtest(GOOG, S)\n'
        "    if len(GOOG) > 5:\n        bt.optimize(n=range(3))\n    bt.optimize(n=range(4))\n"
    )
    assert check_code(GOOD + below) == []
    (finding,) = check_code(GOOD + below + "else:\n    bt.optimize(n=range(5))\n")
    assert (finding.rule, finding.line) == ("process", GOOD.count("\n") + 8)


@pytest.mark.parametrize("stray", ["x = 1" + " " * 19_000 + "!", '\\"' * 9_000], ids=["blanks", "quotes"])
def test_stray_signs_take_bounded_time(stray: str) -> None:
    started = time.process_time()
    (finding,) = check_code(inside("\n".join([stray] * 20)))
    assert (finding.rule, finding.line) == ("syntax", 20)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    "statement", ["x = '" + "{a:" * 2000 + "}" * 2000 + "'", "x = [0] * (1 ** (1e300 * 1e300))"]
)
def test_what_has_no_end_is_read_all_the_same(statement: str) -> None:
    assert check_code(inside(statement)) == []


@pytest.mark.parametrize(
    ("code", "entrypoint", "says"),
    [
        (GOOD, "Rsi", "there is no class 'Rsi'; there is RsiReversal"),
        ("def RsiReversal(): pass", "RsiReversal", "there is no class 'RsiReversal'"),
        (GOOD.replace("(Strategy)", "(object)"), "RsiReversal", "doesn't derive from backtesting.Strategy"),
        (GOOD.replace("def init", "def start"), "RsiReversal", "has no method 'init'"),
        (GOOD.replace("(Strategy)", ""), None, "no class at the top level derives"),
        (
            "if True:\n" + "".join("    " + line + "\n" for line in GOOD.split("\n")),
            "RsiReversal",
            "no class",
        ),
    ],
)
def test_entrypoint(code: str, entrypoint: str | None, says: str) -> None:
    findings = check_code(code, entrypoint)
    assert [finding.rule for finding in findings] == ["entrypoint"]
    assert says in findings[0].message


def test_entrypoint_through_aliases() -> None:
    code = GOOD.replace("from backtesting import Strategy", "import backtesting as bt\n\nBase = bt.Strategy")
    assert check_code(code.replace("(Strategy)", "(Base)"), "RsiReversal") == []


def test_as_strided_is_a_warning() -> None:
    (finding,) = check_code(inside("import numpy as np\nnp.lib.stride_tricks.as_strided(self.rsi)"))
    assert (finding.rule, finding.severity) == ("unsafe_memory", Severity.WARNING)


def test_every_rule_is_used_and_told() -> None:
    used = {rule for example in HOSTILE + MALFORMED for rule in example.rules}
    elsewhere = {"unsafe_memory", "size", "empty", "environment"}
    assert set(RULES) | set(READING) == used | elsewhere
    assert all(why and instead for why, instead in (RULES | READING).values())


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda raw: raw.decode("latin-1"))))
def test_any_text_gives_findings(text: str) -> None:
    for finding in check_code(text):
        assert finding.line >= 1
        assert finding.column >= 1


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_damage_to_honest_code_is_survived(data: st.DataObject) -> None:
    code = text_of(data.draw(st.sampled_from(HONEST)))
    cut, length = data.draw(st.integers(0, len(code))), data.draw(st.integers(0, 40))
    damaged = code[:cut] + data.draw(st.text(max_size=5)) + code[cut + length :]
    findings = check_code(damaged)
    try:
        ast.parse(damaged)
    except (SyntaxError, ValueError):
        assert findings


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_every_cut_is_recognised(path: Path) -> None:
    """Code cut off anywhere is either still a module, or refused as code that breaks off or can't be read."""
    lines = text_of(path).splitlines()
    for count in range(1, len(lines)):
        for finding in check_code("\n".join(lines[:count])):
            assert finding.rule in {"entrypoint", "cut_off", "empty"}, (
                count,
                finding,
            )


def test_describe() -> None:
    code = "import numpy as np\nfrom talib import RSI\n\n\ndef f():\n    def g(): ...\n"
    code += "\n\nclass A:\n    class B:\n        def m(self): ...\n"
    shape = describe_code(code)
    assert shape.classes == ["A", "A.B"]
    assert shape.functions == ["f", "f.g", "A.B.m"]
    assert shape.imports == ["numpy", "talib"]
    assert shape.lines == 11


@pytest.mark.parametrize("code", ["x = = 1\n", "```\n", "(" * 10_000])
def test_describe_what_is_no_module(code: str) -> None:
    assert describe_code(code) == CodeMetadata(lines=1)
    with pytest.raises(UnreadableCode):
        read_code(code)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("while 1:\n    for x in (1, 2):\n        break", "endless_loop"),
        ("while True:\n    def leave():\n        return 1", "endless_loop"),
        ("x = 3 ** 10 ** 6", "huge"),
        ("x = 1 << 10 ** 9", "huge"),
        ("x = 'ab' * (10 ** 9)", "huge"),
        ("x = bytearray(10 ** 10)", "huge"),
        ("def helper(x: 'open(1)'):\n    return x", "dynamic_code"),
        ("x: 'print(1)' = 1", "dynamic_code"),
        ("print('{x.os.path}'.format(x=self))", "format_string"),
        ("self.data.df.loc[:, 'Close'] = 1", "patching"),
        ("del self.data.df['Close']", "patching"),
    ],
)
def test_blocked(statement: str, rule: str) -> None:
    assert {finding.rule for finding in check_code(inside(statement))} == {rule}
