"""Who wrote the code, what that cost, and what the memory gave to it."""

from collections.abc import Sequence

from domain.budget import in_words
from schemas.memory import GivenLesson
from services.report.view import ReportView

_HELPED = {True: "yes", False: "no", None: "not judged"}

LessonRow = tuple[str, str, str, str, str, str, str]
"""Attempt, gate, what went wrong, similarity, how its fix fared before, where it comes from, whether it helped."""


def authorship(view: ReportView) -> list[tuple[str, str]]:
    """Names and values; empty where no model was asked."""
    result = view.result
    if result.usage is None:
        return []
    facts = [("written by", result.engine or "nobody"), ("used", str(result.usage))]
    if view.balance:
        facts.append(("budget", in_words(view.balance)))
    if not result.lessons:
        facts.append(("recalled", "nothing from the memory"))
    return facts


def lesson_rows(given: Sequence[GivenLesson]) -> list[LessonRow]:
    return [
        (
            str(one.attempt),
            one.lesson.gate.value,
            f"{one.lesson.error_type}: {one.lesson.summary}",
            f"{one.lesson.similarity:.2f}",
            f"worked {one.lesson.worked}, failed {one.lesson.failed}" if one.lesson.fixed else "never fixed",
            one.lesson.experiment_id,
            _HELPED[one.helped],
        )
        for one in given
    ]
