"""Every document of the corpus against what it must come to; nothing of any of them may get lost."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from domain.definitions import check_definition
from domain.importer import ImportResult, import_steps
from domain.importer.document import as_text, child, key_text
from schemas.definition import StrategyDefinition

CORPUS = Path(__file__).parents[2] / "data" / "algoagent"
EXPECTED: dict[str, dict[str, Any]] = json.loads(
    (CORPUS / "expected" / "expected.json").read_text(encoding="utf-8")
)
DOCUMENTS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CORPUS.glob("*.json"))
}
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


def leaves(value: Any, path: str = "") -> dict[str, str]:
    """An independent walk: path to text of everything in a document that isn't empty."""
    if isinstance(value, dict):
        members = [(child(path, key_text(key)), member) for key, member in value.items()]
    elif isinstance(value, list):
        members = [(f"{path}[{index}]", member) for index, member in enumerate(value)]
    else:
        text = "" if value is None else as_text(value)
        return {path: text} if text else {}
    return {at: text for name, member in members for at, text in leaves(member, name).items()}


def solid(text: str) -> str:
    return "".join(text.split())


def assert_nothing_is_lost(document: Any, result: ImportResult) -> None:
    """Each value stands in the three lists, whole, and no piece of it in two of them."""
    kept: dict[str, list[str]] = defaultdict(list)
    for entry in (*result.understood, *result.not_understood, *result.carried):
        kept[entry.path].append(solid(entry.text))
    source = leaves(document)
    assert set(kept) == set(source)
    for path, text in source.items():
        rest = solid(text)
        assert sorted("".join(kept[path])) == sorted(rest), path
        for piece in sorted(kept[path], key=len, reverse=True):
            assert piece in rest, (path, piece)
            rest = rest.replace(piece, "\n", 1)
        assert not rest.replace("\n", ""), path


def assert_said_where_it_says(result: ImportResult) -> None:
    """What is carried stands word for word in its field; what wasn't understood stands in the notes, or the notes say
    that not all of it fits."""
    draft = result.draft
    full = "did not fit here" in draft["notes"]
    for carried in result.carried:
        if carried.to in ("notes", "description"):
            assert carried.text in draft[carried.to], carried
        elif carried.to == "tags":
            assert carried.text in draft["tags"]
        elif carried.to == "report":
            assert full
        else:
            assert draft[carried.to] == carried.text
    if not full:
        for refused in result.not_understood:
            assert refused.text in draft["notes"], refused
    for entry in (*result.not_understood, *result.understood):
        assert entry.why if hasattr(entry, "why") else entry.meaning, entry


def assert_canonical(result: ImportResult) -> None:
    """A definition stands the check by itself; where there is none, it is said why."""
    if result.definition is None:
        assert result.problems
        return
    assert not result.problems
    text = json.dumps(result.definition, ensure_ascii=False, allow_nan=False)
    assert check_definition(json.loads(text)).definition == StrategyDefinition.model_validate(
        result.definition
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
