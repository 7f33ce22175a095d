"""Every document of the corpus against what it must come to."""

import json
from typing import Any

import pytest

from domain.importer import ImportResult, import_steps
from tests.domain.importer.checks import (
    CORPUS,
    DOCUMENTS,
    assert_canonical,
    assert_nothing_is_lost,
    assert_said_where_it_says,
)

EXPECTED: dict[str, dict[str, Any]] = json.loads((CORPUS / "expected" / "expected.json").read_text("utf-8"))
TRADING = (
    *(
        "symbol",
        "interval",
        "parameters",
        "entry_rules",
        "exit_rules",
        "short_entry_rules",
        "short_exit_rules",
    ),
    *("position_sizing", "risk_limits"),
)


def trading(result: ImportResult) -> dict[str, Any]:
    return {key: result.draft[key] for key in TRADING if key in result.draft}


def test_every_document_has_an_expectation() -> None:
    assert set(EXPECTED) == set(DOCUMENTS)
    assert len(DOCUMENTS) >= 25


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document(name: str) -> None:
    result = import_steps(DOCUMENTS[name], source=f"{name}.json")
    expected = EXPECTED[name]
    assert trading(result) == expected["draft"]
    assert (result.definition is not None) is expected["accepted"]
    refused = [f"{entry.path}: {entry.text}" for entry in result.not_understood]
    assert [text[:80] for text in refused[:20]] == expected["not_understood"]
    assert len(refused) == expected.get("refused", len(refused[:20]))
    for fragment in expected["said"]:
        said = [*result.assumptions, *result.problems, *(entry.why for entry in result.not_understood)]
        assert any(fragment in text for text in said), (fragment, said)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_lost(name: str) -> None:
    result = import_steps(DOCUMENTS[name], source=f"{name}.json")
    assert_nothing_is_lost(DOCUMENTS[name], result)
    assert_said_where_it_says(result)
    assert_canonical(result)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_same_document_same_result(name: str) -> None:
    document = json.loads(json.dumps(DOCUMENTS[name]))
    assert import_steps(document, source=name) == import_steps(DOCUMENTS[name], source=name)
    assert document == DOCUMENTS[name], "the document is not touched"
