"""Documents that aren't, and documents that nobody would write."""

import datetime
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.importer import ImportFormatError, import_steps
from tests.domain.importer.checks import (
    DOCUMENTS,
    assert_canonical,
    assert_nothing_is_lost,
    assert_said_where_it_says,
)


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "the document is of the type NoneType"),
        ([], "the document is of the type list"),
        ("steps", "the document is of the type str"),
        ({}, "the object is empty"),
        ({"name": "x", "rules": []}, "none of the keys strategy_id, steps"),
        ({"entry_rules": ["RSI < 30"], "strategy_id": "x"}, "a canonical definition already"),
        ({"status": "success", "canonical_json": "{}"}, "the text under 'canonical_json'"),
        ({"steps": deep(40)}, "nested more than 16 levels"),
        ({"steps": [], "x": b"bytes"}, "x is of the type bytes"),
        ({"steps": [], "x": {1, 2}}, "x is of the type set"),
        ({"steps": [], "x": 10**400}, "more than 300 digits"),
        ({"steps": [], "x": "\ud800"}, "half a character"),
        ({"steps": [], "\ud800": 1}, "half a character"),
        ({"steps": [], 1: "a", "1": "b"}, "the key '1' twice"),
        ({"steps": [], "x": ["a"] * 6000}, "the document is too large"),
        ({"steps": [], "x": "a" * 300_000}, "the document is too large"),
    ],
)
def test_what_is_no_document(data: Any, message: str) -> None:
    with pytest.raises(ImportFormatError) as error:
        import_steps(data, source="some.json")
    assert str(error.value).startswith("some.json: ")
    assert message in str(error.value)


def test_a_document_that_holds_itself() -> None:
    data: dict[str, Any] = {"steps": []}
    data["steps"].append(data)
    with pytest.raises(ImportFormatError, match="nested more than"):
        import_steps(data, source="loop.json")


def test_what_yaml_reads() -> None:
    """YAML knows dates, and keys that aren't texts."""
    data: dict[Any, Any] = {
        "strategy_id": "x",
        "steps": [],
        "metadata": {"created_at": datetime.date(2025, 1, 2)},
        7: None,
        True: "yes",
    }
    result = import_steps(data, source="x.yaml")
    assert result.draft["created"] == "2025-01-02"
    assert "true" in {entry.path for entry in result.carried}


@pytest.mark.parametrize(
    "text",
    [
        "Buy when " + "RSI < 30, and " * 3000,
        "buy " * 40_000,
        "Buy when RSI < 30. " * 8_000,
        "stop 2% and " * 14_000,
        "(" * 150_000,
        "a: " * 60_000,
        "- " * 80_000,
        "when if once " * 12_000,
        "Buy " + "x " * 400 + "when " * 80 + "RSI < 30",
        "1 " * 90_000,
    ],
    ids=lambda text: f"{text[:20]}… {len(text)}",
)
def test_long_texts_take_bounded_time(text: str) -> None:
    document = {
        "strategy_id": "long",
        "steps": [{"action": {"type": "enter"}, "trigger": "RSI < 30", "notes": text}],
    }
    started = time.process_time()
    result = import_steps(document, source="long.json")
    assert time.process_time() - started < 20
    assert_nothing_is_lost(document, result)


@pytest.mark.parametrize("filling", [" ", ".", "-"])
def test_long_fields_take_bounded_time(filling: str) -> None:
    text = f"lot a{filling * 30_000}b"
    document = {
        "steps": [
            {
                "trigger": "RSI < 30",
                "timeframe": text,
                "action": {"type": "enter", "size": text, "instrument": text},
                "risk_controls": {"stop_loss": text},
                "notes": text,
            }
        ],
    }
    started = time.process_time()
    result = import_steps(document, source="long.json")
    assert time.process_time() - started < 5
    assert_nothing_is_lost(document, result)


WORDS = st.sampled_from(
    [
        *(
            "Buy when RSI(14) < 30",
            "Sell when RSI(14) > 70",
            "Sell short when RSI < 20",
            "RSI(14) < 30",
            "Close > SMA(50)",
        ),
        *(
            "stop 2%",
            "stop loss 20 pips",
            "EUR/USD",
            "AAPL",
            "1h",
            "enter",
            "exit",
            "cancel",
            "percent",
            "2%",
            "0.02",
        ),
        *("and", "with", ".", ",", ";", "\n- ", "(", ":"),
    ]
)
TEXTS = st.one_of(st.text(max_size=12), st.lists(WORDS, max_size=6).map(" ".join))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**6), st.floats(), TEXTS)
KEYS = st.one_of(
    st.sampled_from(
        [
            *(
                "strategy_id",
                "version",
                "title",
                "description",
                "classification",
                "type",
                "risk_tier",
                "metadata",
                "tags",
            ),
            *(
                "primary_instruments",
                "steps",
                "step_id",
                "order",
                "trigger",
                "condition",
                "action",
                "order_type",
                "side",
            ),
            *(
                "instrument",
                "size",
                "mode",
                "value",
                "exit",
                "risk_controls",
                "stop_loss",
                "take_profit",
                "stop_loss_pct",
            ),
            *(
                "params",
                "name",
                "unit",
                "period",
                "notes",
                "provenance",
                "sources",
                "snippet",
                "timeframe",
                "created_at",
            ),
        ]
    ),
    st.text(max_size=4),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)
STEPS = st.dictionaries(
    st.sampled_from(
        [
            "order",
            "title",
            "trigger",
            "action",
            "condition",
            "exit",
            "risk_controls",
            "params",
            "notes",
            "size",
        ]
    ),
    JSON,
    max_size=6,
)


@settings(max_examples=75, deadline=None, derandomize=True)
@given(st.dictionaries(KEYS, JSON, max_size=6), st.one_of(JSON, st.lists(STEPS, max_size=3)))
def test_any_json_is_imported_or_refused(document: dict[str, Any], steps: Any) -> None:
    document["steps"] = steps
    try:
        result = import_steps(document, source="fuzz.json")
    except ImportFormatError:
        return
    assert_nothing_is_lost(document, result)
    assert_said_where_it_says(result)
    assert_canonical(result)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
def test_a_real_document_with_one_value_changed(name: str, data: st.DataObject) -> None:
    document = json.loads(json.dumps(DOCUMENTS[name]))
    at: Any = document
    for _ in range(data.draw(st.integers(1, 5))):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or data.draw(st.booleans()):
            at[key] = data.draw(JSON)
            break
        at = at[key]
    if not any(key in document for key in ("strategy_id", "steps", "provenance", "classification")):
        return
    try:
        result = import_steps(document, source="changed.json")
    except ImportFormatError:
        return
    assert_nothing_is_lost(document, result)
    assert_canonical(result)
