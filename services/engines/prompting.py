"""The questions, made of the files in `prompts/`."""

import difflib
import functools
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from domain.code_policy.allowed import MODULES
from domain.code_policy.environment import how_to_read
from domain.compiler import compile_strategy
from domain.definitions import DefinitionError, check_definition, read_rulebook
from domain.rules.formal import formal
from schemas.code import Digest
from schemas.definition import StrategyDefinition
from schemas.gates import GateResult
from schemas.orders import EarlierTry, FixOrder, GenerateOrder
from services.engines.answers import begun_line

PROMPTS = Path(__file__).with_name("prompts")

DISTRIBUTIONS = {
    {"talib": "TA-Lib"}.get(module, module)
    for module in {name.partition(".")[0] for name in MODULES} - sys.stdlib_module_names
}
"""What code may depend on, by the names under which it is installed: the policy's modules that aren't Python's own."""

_EXAMPLE: dict[str, Any] = {
    "name": "House_Style",
    "description": "Follows a trend in both directions, with all that a definition may ask for.",
    "symbol": "GOOG",
    "parameters": {"fast": 20, "slow": 100},
    "indicators": {"quick": "EMA(fast)", "steady": "EMA(slow)"},
    "entry_rules": ["quick crosses above steady", "RSI(14) < 70"],
    "exit_rules": ["quick crosses below steady"],
    "short_entry_rules": ["quick crosses below steady"],
    "short_exit_rules": ["Close > highest(High, 20)[1]"],
    "position_sizing": {"mode": "risk_percent", "value": 1},
    "risk_limits": {
        "stop_loss": "2 ATR(14)",
        "take_profit": "10%",
        "trailing_stop": "8%",
        "max_holding_bars": 60,
        "max_position": 50,
    },
}


def instructions() -> str:
    """What every question begins with; the same for all definitions."""
    example, code = _example()
    return _render(
        "system.md",
        modules=sorted(MODULES - {"__future__"}),
        dependencies=sorted(DISTRIBUTIONS, key=str.lower),
        example_definition=example,
        example_code=code.rstrip(),
    )


def generate_question(order: GenerateOrder) -> str:
    definition = order.definition
    return _render(
        "generate.md",
        name=definition.name,
        definition=whole(definition),
        readings=_readings(definition),
        secrets=_secrets(definition),
        recalled=order.recalled,
    )


def fix_question(order: FixOrder) -> str:
    earlier = []
    last: EarlierTry | None = None
    for this in order.earlier:
        diff = _diff(last, this.attempt, this.code) if last else ""
        earlier.append({"attempt": this.attempt, "diff": diff, "findings": "\n".join(findings(this.gates))})
        last = this
    lines = order.code.code.splitlines()
    return _render(
        "fix.md",
        definition=whole(order.definition),
        readings=_readings(order.definition),
        secrets=_secrets(order.definition),
        attempt=order.attempt,
        entrypoint=order.code.entrypoint,
        numbered="\n".join(f"{number:4} {line}" for number, line in enumerate(lines, 1)),
        findings=findings(order.gates) or order.failures,
        earlier=earlier,
        last_diff=_diff(last, order.attempt, order.code.code) if last else "",
        recalled=order.recalled,
    )


def again(reason: str) -> str:
    return _render("again.md", reason=reason)


def go_on(code: str) -> str:
    return _render("go_on.md", begun=begun_line(code)[1])


def repeated(attempt: int) -> str:
    return _render("repeated.md", attempt=attempt)


def prompt_digest(step: str) -> Digest:
    """SHA-256 over the files that the questions of a step (`generate` or `fix`) are made of: a changed word shows."""
    names = ("system.md", f"{step}.md", "recalled.md", "again.md", "go_on.md", "repeated.md")
    found = hashlib.sha256()
    for name in names:
        data = (PROMPTS / name).read_bytes()
        found.update(f"{name} {len(data)}\n".encode() + data)
    return found.hexdigest()


def whole(definition: StrategyDefinition) -> str:
    """The definition with all its fields, as JSON."""
    return definition.model_dump_json(indent=2)


def findings(gates: Sequence[GateResult]) -> list[str]:
    """Each gate as one text: what it says in a line, then its details."""
    return ["\n".join([f"{gate.gate}: {gate.summary}", *gate.details]) for gate in gates]


def _readings(definition: StrategyDefinition) -> list[tuple[str, str]]:
    """Each rule in its formal form: English has been read already, and isn't to be read anew."""
    try:
        book = read_rulebook(definition)
    except DefinitionError:
        return (
            []
        )  # an engine is asked all the same; whoever started the experiment has checked the definition
    rules = (*book.entry, *book.exit, *book.short_entry, *book.short_exit)
    return [(rule.path, formal(rule.condition)) for rule in rules]


def _secrets(definition: StrategyDefinition) -> str:
    """How the code may read what the definition asks for; empty where that is nothing."""
    return how_to_read(definition.secrets) if definition.secrets else ""


def _diff(before: EarlierTry, attempt: int, code: str) -> str:
    lines = difflib.unified_diff(
        before.code.splitlines(),
        code.splitlines(),
        f"try {before.attempt}",
        f"try {attempt}",
        lineterm="",
        n=2,
    )
    return "\n".join(lines)


@functools.cache
def _example() -> tuple[str, str]:
    checked = check_definition(_EXAMPLE)
    return json.dumps(_EXAMPLE, indent=2), compile_strategy(checked.definition, checked.rulebook).code


def _fenced(text: str, language: str) -> str:
    """In a fence that nothing in the text can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PROMPTS),
        autoescape=False,  # noqa: S701 - Markdown for a model, not a page
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters["fenced"] = _fenced
    return environment


def _render(template: str, /, **values: Any) -> str:
    return _environment().get_template(template).render(**values).strip() + "\n"
