"""Lessons: what of a failure is worth remembering, when two failures are the same one, and which lesson comes first."""

import ast
import difflib
import re
import uuid
from collections.abc import Iterable, Sequence

from schemas.definition import StrategyDefinition
from schemas.gates import Gate, GateResult, Outcome
from schemas.memory import MOST_CODE, MOST_FIX, MOST_MESSAGE, Failure, Lesson, LessonRef, LessonUse

_NAMESPACE = uuid.UUID("5f1b4c0a-6c0e-5d0b-9f43-0d3a7c1b2e11")
AROUND = 4
"""Lines of code kept before and after the failing one."""
MOST_LINES = 40
"""Of a method, where no line is known."""
CUT = "\n[…]"
WEIGHT = 0.2
"""How much a fix's record counts beside similarity: a fix that always worked gains half of it, one that never did
loses half."""

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER = r"\d[\d_]*(?:[.,]\d+)*(?:[eE][-+]?\d+)?"
_VOLATILE: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b"), "<address>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b"), "<hash>"),
    (
        re.compile(
            r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?(?:Z|[+-]\d{2}:?\d{2})?(?![\w-])"
        ),
        "<date>",
    ),
    (re.compile(r"\b\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?\b"), "<time>"),
    (re.compile(r"\b[A-Za-z]:\\(?:[^\s\\\"'<>|]+\\)*[^\s\\\"'<>|:,;)]+"), "<path>"),
    (re.compile(r"(?<![\w<./])(?:~|\.{1,2})?(?:/[\w.@+-]+){2,}/?"), "<path>"),
    (re.compile(r"(?<![\w<./@+-])(?:[\w.@+-]+/)+[\w@+-]+\.[A-Za-z]\w{0,4}\b"), "<path>"),
    # not in names such as sma_20 or float64
    (re.compile(rf"(?<![\w.<])(?:(?<![\w)\]>])[-+])?{_NUMBER}%?(?![\w])"), "<n>"),
)
_OWN_NAME = (
    r"(?!(?:_\w+|NoneType|float|int|str|list|dict|tuple|bool|set|Series|DataFrame|(?:numpy|np|pandas)\.\w+)')"
)
"""Not a type of Python, numpy, pandas or the engine."""
_OWN: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\bthere is [\w, ]+$"), "there is <name>"),
    (re.compile(r"\b[A-Za-z_][\w.]*\(\) "), "<name>() "),
    (re.compile(r"\]? '[^']* [^']*'(?= (?:held|did not hold))"), " <rule>"),
    (re.compile(r"\((?:[^()]|\([^()]*\))*<n>(?:[^()]|\([^()]*\))*\)"), ""),  # values
    (re.compile(rf"'{_OWN_NAME}[A-Za-z_][\w.]*'"), "<name>"),
    (re.compile(r"\bbar <n>(?: \(<date>\))?:?|\[<n>\]|\(<date>\)"), ""),
)
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]{0,127}): ")
_FINDING = re.compile(r"^(\d+):\d+: error ([\w.-]{1,128}): (.*)$", re.DOTALL)
_AT_LINE = re.compile(r"\bline (\d{1,6})\b")


def normalise(text: str) -> str:
    """The text without what differs from run to run: addresses, ids, dates, paths and numbers become placeholders,
    whitespace is one blank. Normalising twice changes nothing more; at most MOST_MESSAGE characters."""
    text, before = " ".join(_CONTROLS.sub(" ", _ESCAPES.sub("", text[: 8 * MOST_MESSAGE])).split()), ""
    while (
        text != before
    ):  # a placeholder, or the cut, may complete another; each round leaves less to replace
        before = text
        for pattern, placeholder in _VOLATILE:
            text = pattern.sub(placeholder, text)
        text = text[:MOST_MESSAGE].rstrip()
    return text


def gist(message: str) -> str:
    """A normalised message without what is the strategy's own: its names, rules and values.

    Two strategies that fail alike then read alike; what is told apart by names alone reads alike too, so that recall
    compares both forms.
    """
    for pattern, placeholder in _OWN:
        message = pattern.sub(placeholder, message)
    return " ".join(message.split())


def failure_of(result: GateResult) -> Failure | None:
    """The failure of one gate; None where it didn't fail."""
    if result.outcome is not Outcome.FAILED:
        return None
    error_type, message, line = result.gate.value, result.summary, None
    if result.gate in (Gate.LOADS, Gate.RUNS):
        if found := _EXCEPTION.match(result.summary):
            error_type, message = found[1], result.summary[found.end() :]
    else:
        for detail in result.details:
            if found := _FINDING.match(detail):
                line, error_type, message = int(found[1]), found[2], found[3]
                break
    if line is None:
        places = (_AT_LINE.search(text) for text in (*result.details[:1], result.summary))
        line = next((int(place[1]) for place in places if place), None)
    return Failure(
        gate=result.gate,
        error_type=error_type,
        message=normalise(message) or error_type,
        line=line or None,
    )


def failures_of(results: Iterable[GateResult]) -> list[Failure]:
    return [failure for result in results if (failure := failure_of(result))]


def fix_worked(failure: Failure, after: Sequence[GateResult] | None) -> bool | None:
    """Whether the gate that had failed passed afterwards; None where the fixed code was never judged.

    A gate that was no longer asked counts as not passed: the fix broke something that is asked earlier.
    """
    if after is None:
        return None
    return any(result.gate is failure.gate and result.outcome is Outcome.PASSED for result in after)


def code_around(source: str, line: int | None) -> str:
    """The lines around `line` (from 1), or where it is unknown the beginning of `next`, which decides."""
    lines = source.splitlines()
    if line is not None and 1 <= line <= len(lines):
        first, last = max(line - 1 - AROUND, 0), min(line + AROUND, len(lines))
    else:
        first, last = _method(source, "next")
        last = min(last, first + MOST_LINES)
    return _cut("\n".join(lines[first:last]), MOST_CODE)


def _method(source: str, name: str) -> tuple[int, int]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0, MOST_LINES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return node.lineno - 1, node.end_lineno or node.lineno
    return 0, MOST_LINES


def diff_of(before: str, after: str) -> str:
    """What the fix changed, as a unified diff; empty where nothing."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "before/strategy.py", "after/strategy.py", lineterm="", n=2
    )
    return _cut("\n".join(lines), MOST_FIX)


def rules_of(definition: StrategyDefinition) -> str:
    """What a definition asks for, in a few lines and without its name: alike for strategies that are built alike."""
    sides = (
        ("indicators", [f"{name} = {rule}" for name, rule in definition.indicators.items()]),
        ("enter long when", definition.entry_rules),
        ("leave long when", definition.exit_rules),
        ("enter short when", definition.short_entry_rules),
        ("leave short when", definition.short_exit_rules),
        (
            "risk limits",
            [
                f"{name} {value}"
                for name in type(definition.risk_limits).model_fields
                if (value := getattr(definition.risk_limits, name)) is not None
            ],
        ),
        ("size", [definition.position_sizing.mode.value]),
    )
    return _cut("\n".join(f"{title}: {'; '.join(texts)}" for title, texts in sides if texts), MOST_CODE)


def lesson_id(framework: str, failure: Failure, fix: str) -> str:
    """The same for the same failure and the same change, wherever in the file it was made."""
    changed = [
        " ".join(line.split())
        for line in fix.splitlines()
        if line[:1] in ("+", "-") and not line.startswith(("+++ ", "--- "))
    ]
    parts = (framework, failure.gate.value, failure.error_type, failure.message, *changed)
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))


def uses_of(attempt: int, given: Iterable[LessonRef], gates: Sequence[GateResult]) -> list[LessonUse]:
    """What became of the lessons that an engine was given: whether its code got past the gate of each."""
    passed = {result.gate for result in gates if result.outcome is Outcome.PASSED}
    return [LessonUse(id=one.id, attempt=attempt, helped=one.gate in passed) for one in given]


def rank(lessons: Iterable[Lesson]) -> list[Lesson]:
    """Best first: by similarity, moved up or down by how often the fix worked; equal ones by what was seen more."""
    return sorted(lessons, key=lambda one: (-score(one), -one.seen, one.id))


def score(lesson: Lesson) -> float:
    """Similarity plus WEIGHT times how far the fix's estimated chance lies from one half.

    The estimate is Laplace's, (worked + 1) / (tries + 2): one lucky fix doesn't beat ten of eleven. What it gave to
    later experiments counts as tries too. A failure without a fix has nothing to show, and stands below those
    with one that is as likely to work as not.
    """
    tries = lesson.worked + lesson.failed + lesson.recalled
    chance = (lesson.worked + lesson.helped + 1) / (tries + 2) if lesson.fix else 0.25
    return (lesson.similarity or 0.0) + WEIGHT * (chance - 0.5)


def merged(known: Lesson, told: Lesson) -> Lesson:
    """What is known once `told` was added: counts are summed, the rest is of the one that was told last."""
    return told.model_copy(
        update={
            "worked": known.worked + told.worked,
            "failed": known.failed + told.failed,
            "seen": known.seen + told.seen,
            "recalled": known.recalled,
            "helped": known.helped,
            "code": told.code or known.code,
            "rules": told.rules or known.rules,
            "similarity": None,
        }
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - len(CUT)] + CUT
