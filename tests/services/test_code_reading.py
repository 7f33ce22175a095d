"""The policy and the formatter behind their limits: nothing that a text holds stalls or breaks them."""

import time

import pytest

from domain import code_policy
from schemas.code import CodeMetadata
from services.bounded import BoundedCalls, CallLimits
from services.code_reading import check_code, describe_code
from services.formatter import FormatError, format_code
from tests.domain.code_corpus import HONEST, HOSTILE, MALFORMED

BOMBS = {
    "one line of ten megabytes": "x = '" + "a" * 10_000_000 + "'",
    "many statements": "x = 1\n" * 60_000,
    "many decorators": "@a\n" * 90_000 + "def f(): pass\n",
    "many arguments": "f(" + "a,\n" * 90_000 + ")",
    "many fields": "x = f'" + "{a}" * 6_000 + "'",
    "many texts side by side": "x = (" + "f'{a}'\n" * 55_000 + ")",
    "many comparisons": "x = (" + "1 <\n" * 80_000 + "1)",
    "many comments": "#\n" * 150_000,
    "a chain of classes": "".join(f"class A{n + 1}(A{n}): pass\n" for n in range(7_000)),
    "many imports": "".join(f"import a{n}\n" for n in range(15_000)),
    "many functions": "".join(f"def f{n}(): pass\n" for n in range(6_000)),
    "continued lines": "x = 1" + "\\\n" * 150_000,
    "open brackets": "x = " + "[(" * 9_000,
    "deep blocks": "\n".join(" " * level + "while 1:" for level in range(98)) + " pass\n",
    "deep functions": "\n".join(" " * level + "def f():" for level in range(95)) + " pass\n",
    "a huge number": "x = " + "9" * 15_000,
    "many huge numbers": "x = [" + ("9" * 4_000 + ",\n") * 95 + "]",
    "quotes": '"""' * 60_000,
    "letters that are folded": "x = " + "ｅ" * 19_000,
    "line separators": "\u2028" * 19_000 + "x = = 1",
    "surrogates": "x = '" + "\ud800" * 1_000 + "'",
    "words": "word word word\n" * 20_000,
    "alternatives": "match x:\n case (" + "1 |\n" * 50_000 + " 1): pass\n",
}


@pytest.mark.timeout(200)
@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_no_text_stalls_or_breaks_it(source: str) -> None:
    began = time.process_time()
    findings = check_code(source)
    assert findings
    assert findings[0].instead
    assert describe_code(source).lines == len(source.splitlines())
    assert time.process_time() - began < 3.0  # of this process: what it costs the child is limited there
    assert check_code(HONEST[0].read_text()) == []


@pytest.mark.timeout(120)
def test_what_black_cannot_do_in_time_is_refused() -> None:
    with pytest.raises(FormatError, match="processor time") as caught:
        format_code(BOMBS["many decorators"])
    assert caught.value.line == 1
    assert format_code("x = { 'a':1 }\n") == 'x = {"a": 1}\n'


def test_too_long_a_text_does_not_even_reach_the_child() -> None:
    long = "x = 1\n" * 100_000
    assert [finding.rule for finding in check_code(long)] == ["size"]
    assert describe_code(long) == CodeMetadata(lines=100_000)
    with pytest.raises(FormatError, match="600,000 characters"):
        format_code(long)


def test_it_finds_what_the_policy_finds() -> None:
    for example in [*HOSTILE[::8], *MALFORMED[::8]]:
        assert check_code(example.code, "Hostile") == code_policy.check_code(example.code, "Hostile")
    for path in HONEST[::8]:
        assert describe_code(path.read_text()) == code_policy.describe_code(path.read_text())


def test_running_out_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty = BoundedCalls(["services.code_reading:check_here"], limits=CallLimits(seconds=0.001))
    monkeypatch.setattr("services.code_reading.READING", hasty)
    (finding,) = check_code("x = [" + "1,\n" * 18_000 + "]\n")
    assert finding.rule == "too_costly"
    assert "more than 0.001 s" in finding.message
    assert finding.instead
    hasty.close()


def test_honest_code_is_read_quickly() -> None:
    """The median of the corpus, formatting included; a generous bound, since machines are busy."""
    check_code("x = 1")
    format_code("x = 1")
    taken = []
    for path in HONEST:
        source = path.read_text()
        began = time.perf_counter()
        assert check_code(source) == []
        format_code(source)
        taken.append(time.perf_counter() - began)
    assert sorted(taken)[len(taken) // 2] < 0.25
