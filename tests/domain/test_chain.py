"""A chain whose entries are changed, taken out, put in, moved or cut: each shows, and is called what it is."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.chain import GENESIS, MOST_FINDINGS, ChainReport, Found, Head, Inspection, canonical, seal

Stored = dict[str, Any]


def chain(length: int, salt: str = "") -> list[Stored]:
    entries: list[Stored] = []
    last = GENESIS
    for number in range(1, length + 1):
        content = {"number": number, "what": f"{salt}{number}"}
        previous, last = last, seal(last, content)
        entries.append({"content": content, "previous": previous, "hash": last})
    return entries


def head(entries: Sequence[Stored]) -> Head:
    return Head(len(entries), entries[-1]["hash"]) if entries else Head()


def inspect(entries: Sequence[Stored], kept: Head, unanchored: int = 0) -> ChainReport:
    inspection = Inspection([kept])
    for place, entry in enumerate(entries, 1):
        intact = seal(entry["previous"], entry["content"]) == entry["hash"]
        inspection.take(
            Found(f"line {place}", entry["content"]["number"], entry["previous"], entry["hash"], intact)
        )
    return inspection.end("the chain", unanchored=unanchored)


def kinds(report: ChainReport) -> list[tuple[str, str]]:
    return [(finding.kind, finding.where) for finding in report.findings]


def test_a_seal_is_the_sha256_that_the_docs_name() -> None:
    import hashlib

    content = {"b": 1, "a": ["ü", None, 1.5]}
    written = GENESIS + '\n{"a":["\\u00fc",null,1.5],"b":1}'
    assert seal(GENESIS, content) == hashlib.sha256(written.encode("ascii")).hexdigest()
    with pytest.raises(ValueError, match="JSON compliant"):
        seal(GENESIS, {"a": float("nan")})
    assert canonical({"x": 1, "a": 2}) == canonical({"a": 2, "x": 1})


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_chain_as_it_was_written_is_whole(length: int) -> None:
    entries = chain(length)
    report = inspect(entries, head(entries))
    assert report.ok
    assert report.head == head(entries)


def test_a_changed_entry_is_named() -> None:
    entries = chain(6)
    entries[2]["content"]["what"] = "other"
    report = inspect(entries, head(chain(6)))
    assert kinds(report) == [("changed", "line 3")]
    assert report.findings[0].message == "entry 3 was changed: its content doesn't give its hash"


def test_an_entry_that_was_sealed_anew_breaks_the_next_one() -> None:
    entries = chain(6)
    entries[2]["content"]["what"] = "other"
    entries[2]["hash"] = seal(entries[2]["previous"], entries[2]["content"])
    assert kinds(inspect(entries, head(chain(6)))) == [("changed", "line 4")]


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (slice(2, 3), "entry 3 was removed before it"),
        (slice(2, 5), "the entries 3 to 5 were removed before it"),
        (slice(0, 2), "the entries 1 to 2 were removed before it"),
    ],
)
def test_removed_entries_are_counted(gone: slice, message: str) -> None:
    entries = chain(7)
    kept = head(entries)
    del entries[gone]
    report = inspect(entries, kept)
    assert [finding.message for finding in report.findings] == [message]
    assert report.findings[0].kind == "removed"


def test_an_entry_that_was_put_in_is_named() -> None:
    whole = chain(5)
    garbage = {"content": {"number": 3, "what": "forged"}, "previous": "x", "hash": "y"}
    assert kinds(inspect([*whole[:2], garbage, *whole[2:]], head(whole))) == [("inserted", "line 3")]
    assert kinds(inspect([*whole[:3], whole[1], *whole[3:]], head(whole))) == [("inserted", "line 4")]


def test_moved_entries_are_named() -> None:
    whole = chain(6)
    moved = [*whole[:2], whole[3], whole[2], *whole[4:]]
    report = inspect(moved, head(whole))
    assert kinds(report) == [("reordered", "line 4")]
    assert report.findings[0].message == "entry 3 stands after entry 4"


def test_a_cut_at_the_end_needs_the_head() -> None:
    whole = chain(6)
    report = inspect(whole[:4], head(whole))
    assert kinds(report) == [("truncated", "the end")]
    assert report.findings[0].message == "the entries 5 to 6 were cut off at the end"
    assert inspect(whole[:4], head(whole[:4])).ok  # who cuts both isn't seen: the docs say so


def test_a_chain_that_was_written_anew_does_not_fit_the_head() -> None:
    report = inspect(chain(6, "forged "), head(chain(6)))
    assert kinds(report) == [("rewritten", "line 6")]
    inspection = Inspection([head(chain(6, "forged ")), head(chain(3))])
    for place, entry in enumerate(chain(6, "forged "), 1):
        inspection.take(Found(str(place), place, entry["previous"], entry["hash"], True))
    assert kinds(inspection.end("x")) == [("rewritten", "3")]


def test_more_than_the_head_knows() -> None:
    whole = chain(6)
    assert inspect(whole, head(whole[:5]), unanchored=1).ok
    assert kinds(inspect(whole, head(whole[:4]), unanchored=1)) == [("inserted", "the end")]


def test_findings_are_bounded_and_the_rest_is_counted() -> None:
    entries = chain(400)
    for entry in entries:
        entry["content"]["what"] = "other"
    report = inspect(entries, head(chain(400)))
    assert len(report.findings) == MOST_FINDINGS
    assert report.more >= 400 - MOST_FINDINGS
    entries = chain(400)
    report = inspect(entries[::-1], head(entries))
    assert len(report.findings) <= MOST_FINDINGS
    assert report.more


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_alteration_goes_unseen(data: st.DataObject) -> None:
    whole = chain(data.draw(st.integers(2, 9)))
    entries = [{**entry, "content": dict(entry["content"])} for entry in whole]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(entries) - 1)))
        match data.draw(
            st.sampled_from(["change", "reseal", "remove", "move", "double", "forge", "cut", "number"])
        ):
            case "change" if entries:
                entries[at]["content"]["what"] = "other"
            case "number" if entries:
                entries[at]["content"]["number"] = data.draw(st.integers(-1, 12))
            case "reseal" if entries:
                entries[at]["content"]["what"] = "resealed"
                entries[at]["hash"] = seal(entries[at]["previous"], entries[at]["content"])
            case "remove" if entries:
                del entries[at]
            case "move" if entries:
                entries.insert(data.draw(st.integers(0, len(entries))), entries.pop(at))
            case "double" if entries:
                entries.insert(data.draw(st.integers(0, len(entries))), dict(entries[at]))
            case "forge":
                previous = entries[at - 1]["hash"] if entries and at else GENESIS
                content = {"number": at + 1, "what": "forged"}
                entries.insert(
                    at, {"content": content, "previous": previous, "hash": seal(previous, content)}
                )
            case "cut":
                del entries[at:]
    assert inspect(entries, head(whole)).ok == (entries == whole)
