"""What an answer has to say beside the code: checked, and brought into our shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from domain.code_policy.allowed import MODULES
from schemas.code import CodeChange
from services.engines.asking import AnswerShape
from services.engines.prompting import DISTRIBUTIONS

MOST_FILES = 16
MOST_FILE_CHARACTERS = 100_000
MOST_PATH = 200
MOST_NOTES = 32
MOST_CHANGES = 100
MOST_WORDS = 2_000

_TEXT = {"type": "string"}
_NOTES = {"type": "object", "additionalProperties": _TEXT}

GENERATED = AnswerShape(
    "generated_code",
    "A strategy module for backtesting.py",
    {
        "type": "object",
        "properties": {
            "code": _TEXT | {"description": "the whole module"},
            "entrypoint": _TEXT | {"description": "the name of its strategy class"},
            "dependencies": {"type": "array", "items": _TEXT},
            "files": _NOTES | {"description": "other files: relative path to content; usually empty"},
            "metadata": _NOTES | {"description": "short notes; may be empty"},
        },
        "required": ["code", "entrypoint", "dependencies", "files", "metadata"],
        "additionalProperties": False,
    },
)

FIXED = AnswerShape(
    "fixed_code",
    "A repaired strategy module",
    {
        "type": "object",
        "properties": {
            "fixed_code": _TEXT | {"description": "the whole module"},
            "explanation": _TEXT | {"description": "what was wrong, and what was changed"},
            "changes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "line": {"type": "integer"},
                        "before": _TEXT,
                        "after": _TEXT,
                        "reason": _TEXT,
                    },
                    "required": ["line", "before", "after", "reason"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["fixed_code", "explanation", "changes"],
        "additionalProperties": False,
    },
)

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_OURS = frozenset({"strategy.py", "definition.json", "metrics.json"})


@dataclass
class Extras:
    """What is taken of an answer's other fields, and what isn't, in words."""

    dependencies: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def extras(fields: Mapping[str, Any]) -> Extras:
    found = Extras()
    _dependencies(fields.get("dependencies"), found)
    _files(fields.get("files"), found)
    notes = fields.get("metadata")
    if isinstance(notes, Mapping):
        found.notes = {
            str(name)[:64]: str(text)[:MOST_WORDS] for name, text in list(notes.items())[:MOST_NOTES]
        }
    return found


def changes(fields: Mapping[str, Any]) -> list[CodeChange]:
    """Those that can be read; they explain, nothing is decided by them."""
    listed = fields.get("changes")
    found = []
    for item in listed[:MOST_CHANGES] if isinstance(listed, list) else ():
        if not isinstance(item, Mapping):
            continue
        line = item.get("line")
        before, after, reason = (
            str(item.get(name) or "")[:MOST_WORDS] for name in ("before", "after", "reason")
        )
        number = line if isinstance(line, int) and not isinstance(line, bool) and 0 <= line < 10**6 else 0
        found.append(CodeChange(line=number, before=before, after=after, reason=reason))
    return found


def words(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value.strip()[:MOST_WORDS] if isinstance(value, str) else ""


def _dependencies(value: Any, found: Extras) -> None:
    allowed = {canonicalize_name(name): name for name in DISTRIBUTIONS} | {"talib": "TA-Lib"}
    listed = value if isinstance(value, list) else []
    for item in listed[:MOST_NOTES]:
        if not str(item).strip():
            continue
        try:
            name = Requirement(str(item)).name
        except InvalidRequirement:
            found.problems.append(
                f"the dependency {str(item)!r:.60} can't be read; write a name such as numpy"
            )
            continue
        if (taken := allowed.get(canonicalize_name(name))) is not None:
            if taken not in found.dependencies:
                found.dependencies.append(taken)
        elif name.lower() not in MODULES and name.lower() != "python":  # Python's own needs no installing
            found.problems.append(
                f"the dependency {name!r:.60} isn't allowed; allowed are {', '.join(sorted(DISTRIBUTIONS))}"
            )


def _files(value: Any, found: Extras) -> None:
    listed = list(value.items()) if isinstance(value, Mapping) else []
    if len(listed) > MOST_FILES:
        found.problems.append(f"{len(listed)} files are too many; at most {MOST_FILES} are taken")
    for path, text in listed[:MOST_FILES]:
        if problem := _path_problem(path, text, found):
            found.problems.append(problem)
        else:
            found.files[str(path)] = text


def _path_problem(path: Any, text: Any, found: Extras) -> str:
    shown = f"the file {str(path)!r:.80}"
    if not isinstance(path, str) or not isinstance(text, str):
        return f"{shown} isn't a path with a text"
    if path.startswith(("/", "\\", "~")) or re.match(r"[A-Za-z]:", path):
        return f"{shown} is an absolute path; write one relative to the strategy's folder"
    if ".." in PurePosixPath(path.replace("\\", "/")).parts:
        return f"{shown} leads out of the strategy's folder"
    if len(path) > MOST_PATH or not all(_PART.fullmatch(part) for part in path.split("/")):
        return f"{shown} isn't a plain path; use letters, digits, '_', '-', '.' and '/', no part beginning with '.'"
    if path.lower().partition("/")[0] in _OURS:
        return f"{shown} has the name of a file that is made here; give the strategy as the code"
    for other in found.files:  # of the two, git would keep the one that is written last
        if path.startswith(f"{other}/") or other.startswith(f"{path}/"):
            return f"{shown} and {other!r:.80} can't both be: one would be the other's folder"
    if (
        len(text) > MOST_FILE_CHARACTERS
        or sum(map(len, found.files.values())) + len(text) > MOST_FILE_CHARACTERS
    ):
        return f"{shown} is too long; all files together may have {MOST_FILE_CHARACTERS} characters"
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        return f"{shown} holds signs that no text file can"
    return ""
