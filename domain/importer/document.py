"""The document as a list of leaves, within bounds."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from domain.importer.report import ImportFormatError

MAX_DEPTH = 16
MAX_LEAVES = 5_000
MAX_CHARS = 200_000
MAX_DIGITS = 300

KNOWN_KEYS = ("strategy_id", "steps", "provenance", "classification")
"""A document that has none of these is not in the step format."""


@dataclass(frozen=True)
class Leaf:
    """One value that is neither empty nor a container. `text` is the value as a person would write it."""

    path: str
    value: str | int | float | bool
    text: str


def child(path: str, key: str | int) -> str:
    """The path of a member: `steps[0].trigger`, or `params["a.b"]` where a plain one could mean two places."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ -]*", key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key


def as_text(value: Any) -> str:
    """A scalar as JSON writes it; a text without quotes and without white space around it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip()


def key_text(key: Any) -> str:
    """A key as a text; JSON has no other, YAML does."""
    if isinstance(key, str):
        return key
    if isinstance(key, datetime | date):
        return key.isoformat()
    return "null" if key is None else as_text(key)


def read_leaves(data: Mapping[str, Any], source: str) -> list[Leaf]:
    """All leaves in document order, or ImportFormatError where the document is out of bounds."""
    leaves: list[Leaf] = []
    chars = 0
    for leaf in _walk(data, "", source, 0):
        leaves.append(leaf)
        chars += len(leaf.text) + len(leaf.path)
        if len(leaves) > MAX_LEAVES or chars > MAX_CHARS:
            raise ImportFormatError(
                f"{source}: the document is too large at {leaf.path[:80]}; one strategy has at most {MAX_LEAVES:,} "
                f"values and {MAX_CHARS:,} characters; split it into one file for each strategy"
            )
    return leaves


def _walk(value: Any, path: str, source: str, depth: int) -> Iterator[Leaf]:
    shown = path[:80] or "the document"
    if depth > MAX_DEPTH:
        raise ImportFormatError(
            f"{source}: {shown} is nested more than {MAX_DEPTH} levels deep; the step format needs 6; flatten it"
        )
    if isinstance(value, Mapping):
        names: set[str] = set()
        for key, member in value.items():
            whole(key, f"a key of {shown}", source)
            name = key_text(key)
            if name in names:
                raise ImportFormatError(f"{source}: {shown} has the key '{name[:80]}' twice; keep one")
            names.add(name)
            yield from _walk(member, child(path, name), source, depth + 1)
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            yield from _walk(member, child(path, index), source, depth + 1)
    elif value is not None:
        scalar = whole(value, shown, source)
        if text := as_text(scalar):
            yield Leaf(path, scalar, text)


def whole(value: Any, where: str, source: str) -> str | int | float | bool:
    """A scalar that can be written to a file again; dates (YAML reads them) become text."""
    if isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise ImportFormatError(
                f"{source}: {where} holds half a character (a lone surrogate); save the document as UTF-8 again"
            )
        return value
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        raise ImportFormatError(
            f"{source}: {where} is a number of more than {MAX_DIGITS} digits; write a number that means something"
        )
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if value is None:
        return "null"
    raise ImportFormatError(
        f"{source}: {where} is of the type {type(value).__name__}; "
        "allowed are objects, lists, texts, numbers, true, false and null"
    )


def recognise(data: Any, source: str) -> Mapping[str, Any]:
    """The document itself, or ImportFormatError that says what it seems to be instead."""
    if not isinstance(data, Mapping):
        raise ImportFormatError(
            f"{source}: the document is of the type {type(data).__name__}; the step format is one JSON object with "
            f"the keys {', '.join(KNOWN_KEYS)}"
        )
    if "entry_rules" in data or "schema_version" in data:
        raise ImportFormatError(
            f"{source}: the document has the key '{'entry_rules' if 'entry_rules' in data else 'schema_version'}', so "
            "it is a canonical definition already; check it with `starter.py validate`"
        )
    if "canonical_json" in data and "steps" not in data:
        raise ImportFormatError(
            f"{source}: this is the answer of the old validator; the strategy is the text under 'canonical_json': "
            "save that text as a file and import it"
        )
    if not any(key in data for key in KNOWN_KEYS):
        keys = ", ".join(repr(str(key)[:40]) for key in list(data)[:8])
        raise ImportFormatError(
            f"{source}: not a document of the step format: none of the keys {', '.join(KNOWN_KEYS)} is there; "
            + (f"found {keys}" if keys else "the object is empty")
        )
    return data
