"""Lessons: what is remembered of a failure, and when two are the same."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.lessons import (
    code_around,
    diff_of,
    failure_of,
    failures_of,
    fix_worked,
    gist,
    lesson_id,
    merged,
    normalise,
    rank,
    rules_of,
    score,
    uses_of,
)
from schemas.definition import StrategyDefinition
from schemas.gates import Gate, GateResult, Outcome
from schemas.memory import MOST_CODE, MOST_FIX, MOST_MESSAGE, Failure, Lesson, LessonRef


def gate(which: Gate, summary: str, *details: str, outcome: Outcome = Outcome.FAILED) -> GateResult:
    return GateResult(gate=which, outcome=outcome, summary=summary, details=list(details))


def failure(message: str = "'<' not supported", error_type: str = "TypeError") -> Failure:
    return Failure(gate=Gate.RUNS, error_type=error_type, message=message)


def lesson(**changes: object) -> Lesson:
    one = Lesson(
        id=lesson_id("backtesting.py", failure(), ""),
        gate=Gate.RUNS,
        error_type="TypeError",
        message="'<' not supported",
        experiment_id="first",
        engine="scripted",
        strategy="S",
    )
    return one.model_copy(update=changes)


# Messages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<backtesting._Array object at 0x7f3a9c1b>", "<backtesting._Array object at <address>>"),
        ('File "/usr/lib/python3.11/site.py", line 12, in next', 'File "<path>", line <n>, in next'),
        (r"C:\Users\me\strategy.py: no such file", "<path>: no such file"),
        ("see ./var/reports/x.html and strategies/RSI/strategy.py", "see <path> and <path>"),
        ("bar 57 (2004-11-09): RSI(14) 28.1 < 30", "bar <n> (<date>): RSI(<n>) <n> < <n>"),
        ("at 2017-04-19 04:00:00+00:00 it failed", "at <date> it failed"),
        ("commit 8f14e45fceea167a5a36dedd4bea2543 is gone", "commit <hash> is gone"),
        ("run 3f2504e0-4f89-11d3-9a0c-0305e82c3301 ended", "run <id> ended"),
        ("claimed -1.5e-3, recomputed 1,000,000.25 or 12%", "claimed <n>, recomputed <n> or <n>"),
        ("shape (2148,) against (2134,)", "shape (<n>,) against (<n>,)"),
        ("sma_20 is float64, not RSI2", "sma_20 is float64, not RSI2"),
        ("\x1b[31mred\x1b[0m\n  and\tthen\x00some", "red and then some"),
        ("Größe 漢字 7", "Größe 漢字 <n>"),
        ("", ""),
    ],
)
def test_what_differs_from_run_to_run_becomes_a_placeholder(text: str, expected: str) -> None:
    assert normalise(text) == expected


MESSAGES = st.text(
    st.characters() | st.sampled_from("0123456789./\\-_:(),<>[]' \n\x1b%eEn"), max_size=300
) | st.from_regex(
    r"(bar [0-9]{1,4} \([0-9]{4}-[0-9]{2}-[0-9]{2}\)|/[a-z]+/[a-z.]+|0x[0-9a-f]+| |[a-z']+){1,12}"
)


@given(MESSAGES)
@settings(max_examples=200, deadline=None)
def test_normalising_again_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert len(once) <= MOST_MESSAGE
    assert "\n" not in once
    once.encode()  # no lone surrogates: it is stored as UTF-8


@pytest.mark.parametrize(
    "piece", ["+-", "a/", "1,", "(", "((<n>", "<n>)", "0x", "1_", "-1", "a.", "'a ", "/a", "é", "\x1b["]
)
def test_hostile_texts_take_no_time(piece: str) -> None:
    began = time.process_time()
    text = normalise(piece * 100_000 + "!")
    gist(text)
    assert len(text) <= MOST_MESSAGE
    assert time.process_time() - began < 2.0


def test_a_gist_reads_alike_for_strategies_that_fail_alike() -> None:
    one = normalise(
        "bar 57 (2004-11-09): expected to enter long at the open: entry_rules[0] 'RSI(14) < 30' held at bar 56 "
        "(RSI(14) 28.1), but the strategy did nothing"
    )
    other = normalise(
        "bar 412 (2006-04-07 04:00): expected to enter long at the open: entry_rules[1] 'x crosses above y' held at "
        "bar 411 (x 35.6, y 35), but the strategy did nothing"
    )
    assert one != other
    assert gist(one) == gist(other)
    assert gist("'A' object has no attribute 'rsi'") == gist("'B' object has no attribute 'atr'")
    assert gist("'_Array' object has no attribute 'iloc'") != gist("'B' object has no attribute 'iloc'")


# Failures


def test_an_exception_is_remembered_by_its_class_and_its_line() -> None:
    found = failure_of(gate(Gate.RUNS, "TypeError: bad operand at 0x7f12", "strategy.py, line 27", "x = 1"))
    assert found == Failure(
        gate=Gate.RUNS, error_type="TypeError", message="bad operand at <address>", line=27
    )


def test_a_policy_finding_is_remembered_by_its_rule() -> None:
    found = failure_of(
        gate(
            Gate.VALID,
            "2 findings, the first at line 9: the module 'os' may not be imported",
            "3:1: warning tabs: tabs are used",
            "9:1: error import: the module 'os' may not be imported",
            "12:1: error io: the built-in 'open' may not be used",
        )
    )
    assert found is not None
    assert (found.error_type, found.message, found.line) == (
        "import",
        "the module 'os' may not be imported",
        9,
    )


def test_what_names_no_type_is_remembered_by_its_gate() -> None:
    found = failure_of(gate(Gate.CONFORMS, "bar 9: the strategy entered long, but it shouldn't"))
    assert found is not None
    assert (found.error_type, found.line) == ("conforms", None)


@pytest.mark.parametrize("summary", ["", "KeyError: ", "\x00", f"{'E' * 200}: no", "Größe: 7"])
def test_any_summary_makes_a_failure(summary: str) -> None:
    found = failure_of(gate(Gate.RUNS, summary))
    assert found is not None
    assert found.message


def test_gates_that_did_not_fail_teach_nothing() -> None:
    passed = gate(Gate.LOADS, "it loads", outcome=Outcome.PASSED)
    not_run = gate(Gate.CONFORMS, "an earlier gate failed", outcome=Outcome.NOT_RUN)
    assert failures_of([passed, not_run]) == []


@pytest.mark.parametrize(
    ("outcome", "worked"), [(Outcome.PASSED, True), (Outcome.FAILED, False), (Outcome.NOT_RUN, False)]
)
def test_a_fix_worked_where_the_gate_then_passed(outcome: Outcome, worked: bool) -> None:
    assert fix_worked(failure(), [gate(Gate.RUNS, "", outcome=outcome)]) is worked


def test_a_fix_that_was_never_judged_neither_worked_nor_failed() -> None:
    assert fix_worked(failure(), None) is None
    assert fix_worked(failure(), []) is False


# Code

SOURCE = (
    "import talib\n\nclass S(Strategy):\n    def init(self):\n        pass\n\n    def next(self):\n"
    + "".join(f"        self.step{number}()\n" for number in range(60))
)


def test_code_around_is_the_failing_line_with_its_neighbours() -> None:
    found = code_around(SOURCE, 10).splitlines()
    assert found == SOURCE.splitlines()[5:14]


@pytest.mark.parametrize("line", [None, 0, 10_000])
def test_without_a_line_the_deciding_method_is_kept(line: int | None) -> None:
    found = code_around(SOURCE, line).splitlines()
    assert found[0] == "    def next(self):"
    assert len(found) == 40


@pytest.mark.parametrize("source", ["", "def (", "\x00", "(" * 3000, "x = 1\n"])
def test_code_that_cannot_be_read_is_kept_from_its_beginning(source: str) -> None:
    assert code_around(source, None) == "\n".join(source.splitlines()[:40])


def test_long_code_is_cut_and_says_so() -> None:
    found = code_around("x" * 100_000, 1)
    assert len(found) == MOST_CODE
    assert found.endswith("[…]")
    assert len(diff_of("", "\n".join(map(str, range(10_000))))) == MOST_FIX


def test_a_diff_is_empty_where_nothing_changed() -> None:
    assert diff_of(SOURCE, SOURCE) == ""
    assert "-    def init(self):" in diff_of(SOURCE, SOURCE.replace("init", "setup")).splitlines()


# Identity


def test_the_same_change_elsewhere_in_the_file_is_the_same_lesson() -> None:
    before, after = "a = 1\n", "a = 2\n"
    here, there = diff_of(before, after), diff_of("\n" * 30 + before, "\n" * 30 + after)
    assert here != there
    assert lesson_id("f", failure(), here) == lesson_id("f", failure(), there)


def test_other_content_is_another_lesson() -> None:
    fix = diff_of("a = 1\n", "a = 2\n")
    ids = {
        lesson_id("f", failure(), fix),
        lesson_id("g", failure(), fix),
        lesson_id("f", failure("other"), fix),
        lesson_id("f", failure(error_type="ValueError"), fix),
        lesson_id("f", failure(), ""),
        lesson_id("f", failure(), diff_of("a = 1\n", "a = 3\n")),
        lesson_id("f", failure(), diff_of("a = 2\n", "a = 1\n")),
    }
    assert len(ids) == 7


def test_counts_are_summed_and_the_newest_source_is_kept() -> None:
    known = lesson(seen=3, worked=2, failed=1, recalled=5, helped=4, code="old", rules="r", similarity=0.5)
    told = lesson(seen=1, failed=1, experiment_id="second", code="new")
    assert merged(known, told) == lesson(
        seen=4, worked=2, failed=2, recalled=5, helped=4, code="new", rules="r", experiment_id="second"
    )


# Ranking


def test_a_fix_that_works_comes_before_one_that_doesn_t() -> None:
    good = lesson(id="a" * 8 + "-0000-0000-0000-000000000000", fix="+x", worked=9, failed=1, similarity=0.8)
    bad = lesson(id="b" * 8 + "-0000-0000-0000-000000000000", fix="+y", failed=5, similarity=0.85)
    none = lesson(id="c" * 8 + "-0000-0000-0000-000000000000", similarity=0.85)
    assert [one.id[0] for one in rank([bad, none, good])] == ["a", "c", "b"]


def test_a_record_doesn_t_outweigh_another_subject() -> None:
    proven = lesson(fix="+x", worked=1000, similarity=0.6)
    near = lesson(fix="+y", failed=1, similarity=0.95)
    assert rank([proven, near])[0] is near


def test_one_lucky_fix_stays_behind_ten_of_eleven() -> None:
    assert score(lesson(fix="+x", worked=1)) < score(lesson(fix="+x", worked=10, failed=1))


def test_what_a_lesson_did_for_others_counts() -> None:
    fixed = lesson(fix="+x", worked=1)
    assert score(fixed.model_copy(update={"recalled": 4, "helped": 4})) > score(fixed)
    assert score(fixed.model_copy(update={"recalled": 4})) < score(fixed)


def test_a_recalled_lesson_helped_where_its_gate_passed() -> None:
    given_ = [
        LessonRef(
            id=lesson().id,
            gate=which,
            error_type="x",
            summary="",
            similarity=1,
            worked=0,
            failed=0,
            fixed=True,
            experiment_id="e",
        )
        for which in (Gate.RUNS, Gate.CONFORMS, Gate.TRADES)
    ]
    gates = [
        gate(Gate.RUNS, "", outcome=Outcome.PASSED),
        gate(Gate.TRADES, ""),
        gate(Gate.CONFORMS, "", outcome=Outcome.NOT_RUN),
    ]
    assert [use.helped for use in uses_of(2, given_, gates)] == [True, False, False]
    assert {use.attempt for use in uses_of(2, given_, gates)} == {2}


# Definitions


def test_rules_tell_what_is_traded_and_not_by_which_name() -> None:
    definition = StrategyDefinition.model_validate(
        {
            "name": "Some_Name",
            "symbol": "GOOG",
            "indicators": {"rsi": "RSI(14)"},
            "entry_rules": ["rsi < 30", "Close > SMA(200)"],
            "exit_rules": ["rsi > 70"],
            "risk_limits": {"stop_loss": "5%", "max_holding_bars": 20},
        }
    )
    assert rules_of(definition) == (
        "indicators: rsi = RSI(14)\nenter long when: rsi < 30; Close > SMA(200)\nleave long when: rsi > 70\n"
        "risk limits: stop_loss 5%; max_holding_bars 20\nsize: percent_of_equity"
    )
