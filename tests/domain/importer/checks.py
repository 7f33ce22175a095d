"""What must hold for every import, whatever the document."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from domain.definitions import check_definition
from domain.importer import Carried, ImportResult, NotUnderstood, Understood
from domain.importer.document import as_text, child, key_text
from schemas.definition import StrategyDefinition

CORPUS = Path(__file__).parents[2] / "data" / "algoagent"
DOCUMENTS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CORPUS.glob("*.json"))
}


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
    entries: list[Understood | NotUnderstood | Carried] = [
        *result.understood,
        *result.not_understood,
        *result.carried,
    ]
    for entry in entries:
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
    assert all(entry.why for entry in result.not_understood)
    assert all(entry.meaning for entry in result.understood), [e for e in result.understood if not e.meaning]


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
