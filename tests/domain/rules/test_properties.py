"""What holds for every text: it is read whole or refused, in bounded time, and never anything else."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from domain.rules.errors import RuleError
from domain.rules.formal import formal
from domain.rules.parse import MAX_LENGTH, parse_expression, parse_rule
from domain.rules.risk import parse_risk_phrase
from domain.rules.tree import MAX_DEPTH, MAX_SIZE, walk
from tests.domain.rules.test_english import PAIRS
from tests.domain.rules.trees import INDICATORS, PARAMETERS, conditions, expressions


def outcome(read: Callable[..., Any], text: str, **context: Any) -> Any:
    """What is read, or the refusal; anything else that is raised fails the test."""
    try:
        return read(text, **context)
    except RuleError as error:
        return error


CONTEXT: dict[str, Any] = {"parameters": PARAMETERS, "indicators": INDICATORS}


@settings(max_examples=75, derandomize=True, deadline=None)
@given(conditions)
def test_a_tree_written_formally_reads_back_as_itself(tree: Any) -> None:
    text = formal(tree)
    assume(len(text) <= MAX_LENGTH)
    assert parse_rule(text, **CONTEXT) == tree


@settings(max_examples=100, derandomize=True, deadline=None)
@given(expressions)
def test_an_expression_reads_back_as_itself_or_is_refused_for_never_changing(tree: Any) -> None:
    again = outcome(parse_expression, formal(tree), **CONTEXT)
    assert again == tree or (isinstance(again, RuleError) and "never changes" in again.message)


WORDS = [
    *(
        "Close",
        "price",
        "Volume",
        "RSI",
        "SMA(20)",
        "MACD",
        "BBANDS",
        "fast",
        "bands",
        "20",
        "20-day",
        "1.5",
        "%",
        "5%",
    ),
    *(
        "(",
        ")",
        "[",
        "]",
        "1",
        "-",
        "+",
        "*",
        "/",
        ",",
        ".",
        ".upper",
        "<",
        ">=",
        "==",
        "=",
        "crosses above",
        "is below",
    ),
    *(
        "between",
        "and",
        "or",
        "not",
        "the",
        "its",
        "average",
        "moving average",
        "of",
        "previous",
        "yesterday's",
        "high",
    ),
    *(
        "signal line",
        "times",
        "twice",
        "3 bars ago",
        "of the last 20 bars",
        "zero",
        "is",
        "rising",
        "positive",
        "when",
    ),
    *(
        "Buy when",
        "stop",
        "upper Bollinger band",
        "%K",
        "+DI",
        "x",
        "EMA50",
        "highest high",
        "volume",
        "histogram",
        "'s",
    ),
]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
@example("Buy when")
@example("the its previous 20-day average high of the last 20 bars .upper")
def test_words_in_any_order_are_read_or_refused(text: str) -> None:
    for read in (parse_rule, parse_expression):
        found = outcome(read, text, **CONTEXT)
        if isinstance(found, RuleError):
            assert str(found).startswith(found.path)
        else:
            assert read(formal(found), **CONTEXT) == found  # type: ignore[operator]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(max_size=60))
@example("\ud800")
@example("\N{RIGHT-TO-LEFT OVERRIDE}Close > 5")
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse_rule, parse_expression, parse_risk_phrase):
        assert str(outcome(read, text))


@pytest.mark.parametrize(
    "word",
    ["foo", "maybe", "never", "roughly", "not", "stop", "5%", "7", "*", "zero", "fast", "Open"],
)
def test_no_word_is_dropped(word: str) -> None:
    """A word put anywhere into a rule makes it refused, or mean something else."""
    for text in [english for english, _ in PAIRS[::3]] + [rule for _, rule in PAIRS[::3]]:
        tree = parse_rule(text, **CONTEXT)
        parts = text.split(" ")
        for place in range(len(parts) + 1):
            longer = " ".join([*parts[:place], word, *parts[place:]])
            assert outcome(parse_rule, longer, **CONTEXT) != tree, longer


ENDLESS = {
    "open parentheses": "(" * 1000,
    "closed parentheses": "(" * 300 + "Close" + ")" * 300 + " > 5",
    "signs": "-" * 900 + "Close > 5",
    "nots": "not " * 240 + "Close > 5",
    "calls": "SMA(" * 180 + "Close" + ", 5)" * 40,
    "nested calls": "ABS(" * 150 + "Close" + ")" * 150 + " > 5",
    "brackets": "Close" + "[1]" * 300 + " > 5",
    "sum": "Close" + "+1" * 490 + " > 5",
    "comparisons": "Close" + " > 5" * 240,
    "articles": "the " * 240 + "Close > 5",
    "its": "Close > " + "its " * 240 + "average",
    "digits": "Close > " + "9" * 980,
    "points": "Close > " + "1." * 480,
    "underscores": "Close > " + "1_" * 480,
    "letters": "a" * 1000,
    "spaces": "Close" + " " * 900 + "> 5 5",
    "ands": "and " * 250,
    "or": "Close > 5 or " * 70 + "Close > 5",
    "too long": "Close > 5 and " * 100_000,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_texts_are_read_or_refused_soon(name: str) -> None:
    parse_rule("Close > 5")  # the grammar is loaded once
    start = time.process_time()
    found = outcome(parse_rule, ENDLESS[name])
    took = time.process_time() - start
    if isinstance(found, RuleError):
        assert len(str(found)) < 2000
    else:
        assert sum(1 for _ in walk(found)) <= MAX_SIZE
    assert took < 2, "linear work takes milliseconds; an exponential reader would never end"


def test_names_that_stand_for_names_do_not_grow_without_bound() -> None:
    indicators: dict[str, Any] = {"a0": parse_expression("Close + Open")}
    for step in range(1, 40):
        grown = outcome(parse_expression, f"a{step - 1} + a{step - 1}", indicators=indicators)
        if isinstance(grown, RuleError):
            assert f"at most {MAX_DEPTH} levels and {MAX_SIZE} parts" in grown.message
            assert 5 < step < 10
            return
        indicators[f"a{step}"] = grown
    pytest.fail("nothing was refused")
