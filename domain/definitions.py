"""From data to a checked definition: every problem at once, and the rules read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from domain.rules.ast import Named, Parameter, Rulebook
from domain.rules.book import Draft, read_draft
from domain.rules.risk_lines import take_risk_lines
from domain.rules.tree import walk
from domain.schema_problems import Problem, half_characters, in_words, shown
from schemas.definition import StrategyDefinition

MOST_PROBLEMS = 100


class DefinitionError(ValueError):
    """A definition that is refused, with all its problems. `source` names the file, where there is one."""

    def __init__(self, problems: list[Problem], source: str = "") -> None:
        super().__init__(problems, source)
        self.problems = problems
        self.source = source

    def __str__(self) -> str:
        count = f"{len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}"
        lines = [f"{self.source or 'the definition'}: {count}"]
        return "\n".join(
            [*lines, *(f"  {line}" for problem in self.problems for line in str(problem).splitlines())]
        )


@dataclass(frozen=True)
class CheckedDefinition:
    """A definition in which everything hangs together. `notes`: what was read out of sentences, what is unused."""

    definition: StrategyDefinition
    rulebook: Rulebook
    notes: list[str]


def check_definition(data: Mapping[str, Any]) -> CheckedDefinition:
    """The definition that `data` holds, as it comes from JSON or YAML; DefinitionError names every problem.

    Sentences about stops, targets and size that stand among the rules are moved to `risk_limits` and `position_sizing`,
    and noted.
    """
    if not isinstance(data, Mapping):
        message = "a definition is an object with keys such as name, symbol and entry_rules"
        raise DefinitionError([Problem("", shown(data), message)])
    if strange := [key for key in data if not isinstance(key, str)]:
        raise DefinitionError(
            [Problem("", shown(key), "this key is not a text") for key in strange[:MOST_PROBLEMS]]
        )
    if broken := list(islice(half_characters(data), MOST_PROBLEMS)):
        raise DefinitionError(broken)
    lines = take_risk_lines(data)
    problems = [Problem(item.path, shown(item.text), item.message) for item in lines.problems]
    definition: StrategyDefinition | None = None
    try:
        definition = StrategyDefinition.model_validate(lines.data)
    except ValidationError as error:
        problems += in_words(error, lines.data)
    except RecursionError:
        raise DefinitionError(
            [Problem("", "deeply nested data", "a definition has at most four levels")]
        ) from None
    draft = Draft.of(lines.data)
    book, found = read_draft(draft)
    told = {problem.path for problem in problems}
    problems += [
        Problem(item.path, shown(item.text), item.message) for item in found if item.path not in told
    ]
    problems = [Problem(lines.original(item.path), item.found, item.message) for item in _once(problems)]
    if problems or definition is None:
        raise DefinitionError(problems)
    return CheckedDefinition(definition, book, [*lines.notes, *_unused(definition, draft, book)])


def read_rulebook(definition: StrategyDefinition) -> Rulebook:
    """The rules of a definition that was checked before; DefinitionError where they don't hold together after all."""
    book, found = read_draft(Draft.of(definition.model_dump()))
    if found:
        raise DefinitionError([Problem(item.path, shown(item.text), item.message) for item in found])
    return book


def canonical_definition(definition: StrategyDefinition) -> bytes:
    """The definition as canonical JSON in UTF-8: keys sorted, no whitespace, defaults written out.

    What was added later, a threshold and secrets, is left out where it isn't set, so that digests stay as they were.
    """
    data = definition.model_dump(mode="json")
    if definition.thresholds.min_deflated_sharpe is None:
        del data["thresholds"]["min_deflated_sharpe"]
    if not definition.secrets:
        del data["secrets"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def definition_digest(definition: StrategyDefinition) -> str:
    """SHA-256 of the definition's canonical form, under which it is an artifact once code was written for it."""
    return hashlib.sha256(canonical_definition(definition)).hexdigest()


def _once(problems: list[Problem]) -> list[Problem]:
    """Without repetitions, and at most MOST_PROBLEMS of them."""
    unique = list(dict.fromkeys(problems))
    if len(unique) <= MOST_PROBLEMS:
        return unique
    rest = len(unique) - MOST_PROBLEMS
    return [*unique[:MOST_PROBLEMS], Problem("", f"{rest} more problems", "these are not listed")]


def _unused(definition: StrategyDefinition, draft: Draft, book: Rulebook) -> list[str]:
    used: set[str] = set(draft.limit_names())
    for rule in (*book.entry, *book.exit, *book.short_entry, *book.short_exit):
        used |= {node.name for node in walk(rule.condition) if isinstance(node, Parameter | Named)}
    return [
        f"{kind}.{name} is not used by any rule"
        for kind, names in (("parameters", definition.parameters), ("indicators", definition.indicators))
        for name in names
        if name not in used
    ]


__all__ = [
    "CheckedDefinition",
    "DefinitionError",
    "Problem",
    "canonical_definition",
    "check_definition",
    "definition_digest",
    "read_rulebook",
]
