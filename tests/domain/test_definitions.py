"""Definitions: checked whole, every problem told, sentences moved visibly."""

import json
import pickle
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.definitions import (
    DefinitionError,
    check_definition,
    definition_digest,
    read_rulebook,
)
from domain.rules.parse import parse_rule
from schemas.definition import Distance, DistanceKind, StrategyDefinition


def data(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "Example",
        "symbol": "GOOG",
        "parameters": {"fast": 12, "slow": 26},
        "indicators": {"gap": "EMA(fast) - EMA(slow)"},
        "entry_rules": ["gap crosses above 0"],
        "exit_rules": ["gap < 0"],
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not ...}


def problems(**changes: Any) -> dict[str, tuple[str, str]]:
    """Path to what was found and what is said."""
    with pytest.raises(DefinitionError) as refused:
        check_definition(data(**changes))
    paths = [problem.path for problem in refused.value.problems]
    assert len(paths) == len(set(paths)), paths
    return {problem.path: (problem.found, problem.message) for problem in refused.value.problems}


def test_a_good_definition_is_read() -> None:
    checked = check_definition(data())
    assert checked.definition.name == "Example"
    assert [(rule.path, rule.text) for rule in checked.rulebook.entry] == [
        ("entry_rules[0]", "gap crosses above 0")
    ]
    assert checked.notes == []
    assert read_rulebook(checked.definition) == checked.rulebook


def test_indicators_may_refer_to_each_other_in_any_order() -> None:
    indicators = {"third": "EMA(second, 5)", "second": "first[1]", "first": "EMA(fast) - EMA(slow)"}
    checked = check_definition(
        data(indicators=indicators, entry_rules=["third > 0"], exit_rules=["third < second"])
    )
    assert len(checked.rulebook.entry) == 1


@pytest.mark.parametrize(
    ("indicators", "message"),
    [
        (
            {"one": "two + 1", "two": "three * 2", "three": "SMA(one, 5)"},
            r"itself: (\w+) needs \w+ needs \w+ needs \1",
        ),
        ({"loop": "loop + Close"}, "this refers to itself: loop needs loop$"),
        ({"sma": "sma"}, r"sma needs sma; the indicator is written sma\(…\)"),
    ],
)
def test_a_circle_is_told_once(indicators: dict[str, str], message: str) -> None:
    name = next(iter(indicators))
    told = problems(indicators=indicators, entry_rules=[f"{name} > 1"], exit_rules=["Close < 1"])
    ((path, (_, said)),) = told.items()
    assert path.removeprefix("indicators.") in indicators
    assert re.search(message, said)


@pytest.mark.parametrize(
    ("changes", "path", "found", "message"),
    [
        ({"nmae": "x"}, "nmae", "'x'", "unknown key; did you mean name?"),
        ({"zzz": 1}, "zzz", "1", "unknown key; allowed are schema_version, name,"),
        ({"risk_limits": {"stop_los": "2%"}}, "risk_limits.stop_los", "'2%'", "did you mean stop_loss?"),
        ({"position_sizing": {"mod": "x"}}, "position_sizing.mod", "'x'", "did you mean mode?"),
        ({"name": ...}, "name", "nothing", "required"),
        ({"name": "for"}, "name", "'for'", "is a Python keyword"),
        ({"name": "a b"}, "name", "'a b'", "can't be a name"),
        ({"name": 5}, "name", "5", "a text is needed"),
        ({"interval": "3d"}, "interval", "'3d'", "allowed are 1m, 2m"),
        ({"symbol": "GO OG"}, "symbol", "'GO OG'", "allowed are texts of the form"),
        ({"entry_rules": [" "]}, "entry_rules[0]", "' '", "the rule is empty"),
        ({"entry_rules": ["Close > 5", 7]}, "entry_rules[1]", "7", "a text is needed"),
        ({"entry_rules": "Close > 5"}, "entry_rules", "'Close > 5'", "a list is needed"),
        ({"entry_rules": []}, "entry_rules", "a list of 0", "at least one entry rule is needed"),
        ({"entry_rules": ["Close > 5"] * 33}, "entry_rules", "a list of 33", "at most 32 entries"),
        ({"exit_rules": []}, "exit_rules", "a list of 0", "would never end"),
        (
            {"entry_rules": ["RIS(14) < 30"]},
            "entry_rules[0]",
            "'RIS(14) < 30'",
            "nearest understood: RSI(14) < 30",
        ),
        ({"exit_rules": ["gap < 0", "gap"]}, "exit_rules[1]", "'gap'", "not a condition"),
        ({"exit_rules": ["Close < dangling"]}, "exit_rules[0]", "'Close < dangling'", "'dangling' is not"),
        ({"indicators": {"gap": "EMA(fast"}}, "indicators.gap", "'EMA(fast'", "stops too early"),
        ({"indicators": {"gap": "fast * 2"}}, "indicators.gap", "'fast * 2'", "make it a parameter"),
        (
            {"indicators": {"gap": "EMA(fast)", "close": "SMA(5)"}},
            "indicators.close",
            "'close'",
            "a word of the rule",
        ),
        (
            {"indicators": {"gap": "EMA(fast)", "fast": "SMA(5)"}},
            "indicators.fast",
            "'SMA(5)'",
            "names must differ",
        ),
        ({"parameters": {"fast": 12, "slow": "26"}}, "parameters.slow", "'26'", "a number is needed"),
        ({"parameters": {"fast": 12, "slow": True}}, "parameters.slow", "True", "a number is needed"),
        ({"parameters": {"fast": 12, "slow": float("nan")}}, "parameters.slow", "nan", "a finite number"),
        (
            {"parameters": {"fast": 12, "slow": 26, "a": 1}},
            "parameters.a",
            "'a'",
            "a word of the rule language",
        ),
        (
            {"parameters": {"fast": 12, "slow": 26, "half": 1}},
            "parameters.half",
            "'half'",
            "a word of the rule",
        ),
        ({"parameters": {"fast": 12, "slow": 26, "RSI": 1}}, "parameters.RSI", "'RSI'", "is an indicator"),
        (
            {"parameters": {"fast": 12, "slow": 26, "class": 1}},
            "parameters.class",
            "'class'",
            "Python keyword",
        ),
        (
            {"parameters": {"fast": 1.5, "slow": 26}},
            "indicators.gap",
            "'EMA(fast) - EMA(slow)'",
            "parameter fast = 1.5",
        ),
        ({"parameters": {"fast": 1, "slow": 26}}, "indicators.gap", "'EMA(fast) - EMA(slow)'", "at least 2"),
        ({"tags": {"a": 1}}, "tags", "an object with 1 keys", "a list is needed"),
        ({"risk_limits": {"stop_loss": 5}}, "risk_limits.stop_loss", "5", "5 has no unit"),
        ({"risk_limits": {"stop_loss": "5 miles"}}, "risk_limits.stop_loss", "'5 miles'", "allowed are '2%'"),
        (
            {"risk_limits": {"trailing_stop": "price 5"}},
            "risk_limits.trailing_stop",
            "'price 5'",
            "can't be a fixed price",
        ),
        (
            {"risk_limits": {"stop_loss": {"kind": "atr", "value": -1}}},
            *("risk_limits.stop_loss.value", "-1", "a number above 0 and the name of a parameter"),
        ),
        (
            {"risk_limits": {"stop_loss": {"kind": "atr", "value": "fsat"}}},
            *("risk_limits.stop_loss.value", "'fsat'", "is not a parameter; did you mean fast?"),
        ),
        (
            {"risk_limits": {"max_holding_bars": "slw"}},
            "risk_limits.max_holding_bars",
            "'slw'",
            "did you mean slow?",
        ),
        ({"risk_limits": {"max_holding_bars": 0}}, "risk_limits.max_holding_bars", "0", "a number above 0"),
        ({"position_sizing": {"value": 101}}, "position_sizing", "an object with 1 keys", "at most 100"),
        (
            {"position_sizing": {"mode": "risk_percent", "value": 1}},
            "position_sizing",
            "an object",
            "needs a risk_limits",
        ),
        ({"schema_version": "1.0"}, "schema_version", "'1.0'", "allowed is '2.0'"),
        ({"start_date": "yesterday"}, "start_date", "'yesterday'", "a date is needed"),
        (
            {"start_date": "2020-01-01", "end_date": "2019-01-01"},
            "end_date",
            "'2019-01-01'",
            "is not after start_date",
        ),
        ({"version": "1"}, "version", "'1'", "three numbers"),
        ({"period": "soon"}, "period", "'soon'", "is not a period"),
        ({"tags": [""]}, "tags[0]", "''", "at least 1 characters"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_one_problem_is_told_with_path_found_and_allowed(
    changes: dict[str, Any], path: str, found: str, message: str
) -> None:
    told = problems(**changes)
    assert list(told) == [path]
    assert told[path][0].startswith(found)
    assert message in told[path][1]


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        nmae=1,
        interval="3d",
        parameters={"fast": 12, "slow": "x"},
        indicators={"gap": "EMA(fast) - EMA(slow)", "other": "EMB(5)"},
        entry_rules=["gap > 0", "other > 0", "RIS(5) > 3", ""],
        exit_rules=["stop at lower band"],
        risk_limits={"take_profit": 5, "max_holding_bars": "slow"},
    )
    assert set(told) == {
        *("nmae", "interval", "parameters.slow", "indicators.other", "entry_rules[2]", "entry_rules[3]"),
        *("exit_rules[0]", "risk_limits.take_profit"),
    }, "what follows from another problem is not told again"


def test_the_error_is_read_line_by_line_and_survives_pickling() -> None:
    with pytest.raises(DefinitionError) as refused:
        check_definition(data(entry_rules=["RIS(14) < 30"], interval="3d"))
    text = str(pickle.loads(pickle.dumps(refused.value)))
    assert text == str(refused.value)
    assert text.splitlines()[0] == "the definition: 2 problems"
    assert "  entry_rules[0]: 'RIS' is not an indicator\n      RIS(14) < 30\n      ^^^" in text
    assert "  interval: '3d' is not an interval; allowed are 1m" in text


@pytest.mark.parametrize("thing", [None, 5, "x", [], [("name", "x")]])
def test_what_is_no_object_is_refused(thing: Any) -> None:
    with pytest.raises(DefinitionError, match="a definition is an object"):
        check_definition(thing)


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(DefinitionError, match="this key is not a text"):
        check_definition({True: 1, **data()})  # type: ignore[dict-item]


def test_of_very_many_problems_the_first_are_told() -> None:
    with pytest.raises(DefinitionError) as refused:
        check_definition(data(**{f"key{number}": 1 for number in range(5000)}))
    assert len(refused.value.problems) == 101
    assert "more problems" in refused.value.problems[-1].found


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: dict[str, Any] = {
    "deep": nested(5000),
    "long": "x" * 1_000_000,
    "digits": 10**5000,
    "surrogate": "\ud800",
    "infinite": float("inf"),
    "object": {"a": {}},
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize(
    "key", ["name", "parameters", "entry_rules", "risk_limits", "tags", "zzz", "interval"]
)
def test_hostile_values_are_refused_in_a_short_text(key: str, kind: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        check_definition(data(**{key: HOSTILE[kind]}))
    assert len(str(refused.value)) < 6000


plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["2%", "Close > 5"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from(list(StrategyDefinition.model_fields)), plain, max_size=6))
def test_any_data_is_a_definition_or_refused(changes: dict[str, Any]) -> None:
    try:
        checked = check_definition(data(**changes))
    except DefinitionError as error:
        told = error.problems and str(error)
    else:
        told = "read"
        again = StrategyDefinition.model_validate_json(checked.definition.model_dump_json())
        assert definition_digest(again) == definition_digest(checked.definition)
    assert told


# ------------------------------------------------------------------ sentences among the rules


def test_sentences_are_moved_and_noted() -> None:
    checked = check_definition(
        data(
            entry_rules=["Buy when gap crosses above 0", "risk 1% per trade"],
            exit_rules=[
                "stop 2% below entry",
                "gap < 0",
                "take profit at 5%",
                "trail 3 ATR",
                "exit after 10 bars",
            ],
        )
    )
    limits = checked.definition.risk_limits
    assert [str(limits.stop_loss), str(limits.take_profit), str(limits.trailing_stop)] == [
        "2%",
        "5%",
        "3 ATR(14)",
    ]
    assert limits.max_holding_bars == 10
    assert checked.definition.position_sizing.mode == "risk_percent"
    assert checked.definition.entry_rules == ["Buy when gap crosses above 0"]
    assert checked.definition.exit_rules == ["gap < 0"]
    assert [rule.path for rule in checked.rulebook.exit] == ["exit_rules[0]"]
    assert checked.notes == [
        "entry_rules[1] 'risk 1% per trade' was read as position_sizing = risk_percent 1",
        "exit_rules[0] 'stop 2% below entry' was read as risk_limits.stop_loss = 2%",
        "exit_rules[2] 'take profit at 5%' was read as risk_limits.take_profit = 5%",
        "exit_rules[3] 'trail 3 ATR' was read as risk_limits.trailing_stop = 3 ATR(14)",
        "exit_rules[4] 'exit after 10 bars' was read as risk_limits.max_holding_bars = 10",
    ]
    assert read_rulebook(checked.definition) == checked.rulebook


def test_checking_does_not_change_what_it_was_given() -> None:
    given_data = data(exit_rules=["stop 2% below entry"], risk_limits={"take_profit": "5%"})
    before = json.dumps(given_data)
    check_definition(given_data)
    assert json.dumps(given_data) == before


def test_problems_keep_the_places_of_the_file() -> None:
    told = problems(exit_rules=["stop 2% below entry", "gap < 0", "RIS(14) > 3"])
    assert list(told) == ["exit_rules[2]"]


@pytest.mark.parametrize(
    ("changes", "paths", "message"),
    [
        (
            {"exit_rules": ["stop 2%"], "risk_limits": {"stop_loss": "3%"}},
            ["exit_rules[0]"],
            "is given as well",
        ),
        ({"exit_rules": ["stop 2%", "stop loss of 3%"]}, ["exit_rules[1]"], "exit_rules[0] says otherwise"),
        (
            {"entry_rules": ["gap > 0", "invest 5% of equity"], "position_sizing": {"value": 5}},
            *(["entry_rules[1]"], "position_sizing is given as well"),
        ),
        ({"exit_rules": ["stop 2% above entry"]}, ["exit_rules[0]"], "wrong side of the entry"),
        (
            {"exit_rules": ["gap < 0", "stop 20 pips"]},
            ["exit_rules[1]"],
            "pips have a meaning for currency pairs only",
        ),
        ({"exit_rules": ["gap < 0", "exit after 10 weeks"]}, ["exit_rules[1]"], "doesn't count bars"),
        ({"exit_rules": ["gap < 0", "stop somewhere below"]}, ["exit_rules[1]"], "not understood"),
        (
            {
                "exit_rules": ["gap < 0", "stop 2%"],
                "short_entry_rules": ["gap < -1"],
                "short_exit_rules": ["gap > 0"],
            },
            *(["exit_rules[1]"], "say it on the short side as well"),
        ),
    ],
)
def test_sentences_that_can_not_be_moved_are_refused(
    changes: dict[str, Any], paths: list[str], message: str
) -> None:
    told = problems(**changes)
    assert [path for path in told if path != "exit_rules"] == paths
    assert message in told[paths[0]][1]


def test_a_sentence_said_on_both_sides_is_moved() -> None:
    checked = check_definition(
        data(
            exit_rules=["gap < 0", "stop 2% below entry"],
            short_entry_rules=["gap < -1"],
            short_exit_rules=["gap > 0", "stop 2% above entry"],
        )
    )
    assert str(checked.definition.risk_limits.stop_loss) == "2%"
    assert len(checked.notes) == 2


def test_pips_are_read_for_currency_pairs() -> None:
    checked = check_definition(data(symbol="USDJPY", interval="1h", exit_rules=["20 pips stop"]))
    assert checked.definition.risk_limits.stop_loss == Distance(kind=DistanceKind.DISTANCE, value=0.2)


def test_days_are_held_to_the_interval() -> None:
    check_definition(data(entry_rules=["Close > the 20-day SMA and gap > 0"]))
    told = problems(interval="1h", entry_rules=["Close > the 20-day SMA and gap > 0"])
    assert "a bar of this definition is 1h" in told["entry_rules[0]"][1]


# ------------------------------------------------------------------ notes, digest, numbers


def test_what_is_unused_is_noted() -> None:
    checked = check_definition(
        data(
            parameters={"fast": 12, "slow": 26, "spare": 1, "trail": 3},
            indicators={"gap": "EMA(fast) - EMA(slow)", "idle": "RSI(14)"},
            risk_limits={"trailing_stop": {"kind": "atr", "value": "trail"}},
        )
    )
    assert checked.notes == [
        "parameters.spare is not used by any rule",
        "indicators.idle is not used by any rule",
    ]


def test_the_digest_is_of_the_meaning_not_of_the_file() -> None:
    one = check_definition(data()).definition
    turned = check_definition(dict(reversed(data(schema_version="2.0", interval="1d").items()))).definition
    assert definition_digest(one) == definition_digest(turned)
    assert len(definition_digest(one)) == 64
    for change in ({"name": "Other"}, {"parameters": {"fast": 13, "slow": 26}}, {"exit_rules": ["gap <= 0"]}):
        assert definition_digest(check_definition(data(**change)).definition) != definition_digest(one)


def test_the_digest_does_not_move() -> None:
    """Merged versions carry it in a trailer: a change here breaks their lineage."""
    definition = StrategyDefinition(
        name="A", symbol="GOOG", entry_rules=["Close > 1"], exit_rules=["Close < 1"]
    )
    assert definition_digest(definition) == "c8f0b14ebecfca3e863c29a085cd95e7ab0306ddb0e7e72481456c445e3d4bf6"


def test_a_rulebook_is_not_read_from_rules_that_do_not_hold_together() -> None:
    definition = StrategyDefinition(
        name="A", symbol="GOOG", entry_rules=["Close > n"], exit_rules=["Close < 1"]
    )
    with pytest.raises(DefinitionError, match=r"entry_rules\[0\]"):
        read_rulebook(definition)


def test_a_rule_keeps_its_text_with_single_spaces() -> None:
    checked = check_definition(data(entry_rules=["gap\n  crosses\tabove 0"]))
    assert checked.rulebook.entry[0].text == "gap crosses above 0"
    assert checked.rulebook.entry[0].condition == parse_rule(
        "gap crosses above 0", indicators={"gap": read_rulebook(checked.definition).entry[0].condition.left.expr}  # type: ignore[union-attr]
    )
