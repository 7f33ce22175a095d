"""black and isort, in process."""

import ast
from pathlib import Path

import pytest

from services.formatter import FormatError, format_code

HONEST = sorted((Path(__file__).parents[1] / "data" / "code" / "honest").glob("*.py"))


def test_formats() -> None:
    code = "import talib\nimport os, abc\nfrom backtesting import Strategy\nx = {  'a':1 }\ndef f( a ):\n  return a"
    assert format_code(code) == (
        "import abc\nimport os\n\nimport talib\nfrom backtesting import Strategy\n\n"
        'x = {"a": 1}\n\n\ndef f(a):\n    return a\n'
    )


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_once_is_enough_and_changes_no_meaning(path: Path) -> None:
    code = path.read_text()
    once = format_code(code)
    assert format_code(once) == once
    assert max(map(len, once.splitlines())) <= 130  # black leaves long texts alone
    assert sorted(map(ast.dump, ast.parse(code).body)) == sorted(map(ast.dump, ast.parse(once).body))


@pytest.mark.parametrize("code", ["", "\n\n", "# only a comment\n", "'''Text.'''\n"])
def test_next_to_nothing(code: str) -> None:
    once = format_code(code)
    assert once.strip() == code.strip().replace("'''", '"""')
    assert format_code(once) == once


def test_lines_and_text_survive() -> None:
    code = "x = 'größer ≥ 3'\r\ny = 1\r\n"
    assert format_code(code).splitlines() == ['x = "größer ≥ 3"', "y = 1"]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = 1\ny = = 2\n", 2),
        ("x = 1\n\n\ndef f(:\n    pass\n", 4),
        ("def f():\nreturn 1\n", 2),
        ("x = (1,\n", 1),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(code: str, line: int) -> None:
    with pytest.raises(FormatError, match="can't be formatted") as caught:
        format_code(code)
    assert abs(caught.value.line - line) <= 1
    assert str(caught.value).startswith(f"line {caught.value.line}: ")


def test_nested_too_deeply() -> None:
    with pytest.raises(FormatError):
        format_code("x = " + "(" * 5000 + ")" * 5000)
