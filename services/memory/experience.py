"""What an experiment asks of the memory, and tells it.

A memory that is down or off costs a note, never the experiment.
"""

from collections.abc import Callable
from typing import Literal

from domain.lessons import (
    code_around,
    diff_of,
    failure_of,
    failures_of,
    fix_worked,
    lesson_id,
    rank,
    rules_of,
)
from schemas.memory import (
    Learned,
    LearnInput,
    Lesson,
    LessonRef,
    Lived,
    Observation,
    Recall,
    Recalled,
    RecallInput,
)
from services.artifacts import Artifacts
from services.authoring import code_path
from services.library import Library, LibraryError
from services.memory.client import Memory
from services.memory.errors import MemoryFault, MemoryOff

MOST_FAILURES = 4
"""Failed gates that are recalled for; later ones mostly follow from the first."""
SUMMARY = 160
"""Characters of a lesson's message in history."""

Beat = Callable[[], None]


class Experience:
    def __init__(self, memory: Memory, library: Library, artifacts: Artifacts, most: int = 3) -> None:
        self._memory = memory
        self._library = library
        self._artifacts = artifacts
        self._most = most

    def recall(self, order: RecallInput, on_wait: Beat | None = None) -> Recalled:
        """Lessons for the code that is to be written: by its definition, or by what failed."""
        if not self._most:
            return Recalled()
        framework = order.definition.framework
        queries = [
            Recall(framework=framework, failure=failure, most=self._most)
            for failure in failures_of(order.failures)[:MOST_FAILURES]
        ] or [Recall(framework=framework, rules=rules_of(order.definition), most=self._most)]
        try:
            found = [lesson for query in queries for lesson in self._memory.recall(query, on_wait)]
        except MemoryFault as fault:
            return Recalled(state=_state(fault), note=self._noted(fault))
        lessons = rank({lesson.id: lesson for lesson in found}.values())[: self._most]
        if not lessons:
            return Recalled()
        return Recalled(
            lessons=[_reference(lesson) for lesson in lessons],
            artifact=self._artifacts.put_json([lesson.model_dump(mode="json") for lesson in lessons]),
        )

    def learn(self, order: LearnInput, on_wait: Beat | None = None) -> Learned:
        """Keep every failure with its fix, and count what recalled lessons were good for. Repeated, it counts once."""
        try:
            observations = [one for lived in order.lived for one in self._observations(order, lived)]
            new, known = self._memory.learn(observations, on_wait)
            self._memory.use(order.experiment_id, order.uses, on_wait)
        except MemoryFault as fault:
            return Learned(state=_state(fault), note=self._noted(fault))
        except LibraryError as error:
            return Learned(state="down", note=f"nothing was learnt: {error}")
        return Learned(new=new, known=known)

    def _observations(self, order: LearnInput, lived: Lived) -> list[Observation]:
        failed = [failure for gate in lived.gates if (failure := failure_of(gate))]
        if not failed:
            return []
        definition = order.definition
        path = code_path(definition.name)
        before = self._library.read(lived.commit, path)
        fix = diff_of(before, self._library.read(lived.fix_commit, path)) if lived.fix_commit else ""
        told = []
        for failure in failed:
            worked = fix_worked(failure, lived.fixed_gates) if fix else None
            lesson = Lesson(
                id=lesson_id(definition.framework, failure, fix),
                framework=definition.framework,
                gate=failure.gate,
                error_type=failure.error_type,
                message=failure.message,
                code=code_around(before, failure.line),
                fix=fix,
                rules=rules_of(definition),
                worked=int(worked is True),
                failed=int(worked is False),
                experiment_id=order.experiment_id,
                engine=order.engine,
                strategy=definition.name,
                definition=order.definition_digest,
            )
            told.append(Observation(key=f"{order.experiment_id}#{lived.attempt}", lesson=lesson))
        return told

    def _noted(self, fault: MemoryFault) -> str:
        self._memory.say_once(str(fault))
        return str(fault)


def _state(fault: MemoryFault) -> Literal["off", "down"]:
    return "off" if isinstance(fault, MemoryOff) else "down"


def _reference(lesson: Lesson) -> LessonRef:
    text = lesson.message
    return LessonRef(
        id=lesson.id,
        gate=lesson.gate,
        error_type=lesson.error_type,
        summary=text if len(text) <= SUMMARY else text[: SUMMARY - 1] + "…",
        similarity=lesson.similarity or 0.0,
        worked=lesson.worked,
        failed=lesson.failed,
        fixed=bool(lesson.fix),
        experiment_id=lesson.experiment_id,
    )
