"""What the memory is asked before code is written, and told once it is known what helped. Wanted: no experiment fails,
and none is held up for long, for the lack of it."""

from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.remembering import Remembering
    from domain.lessons import uses_of
    from schemas.code import Digest
    from schemas.experiment import ExperimentRequest
    from schemas.gates import GateReport, GateResult
    from schemas.memory import GivenLesson, LearnInput, LessonRef, LessonUse, Lived, RecallInput
    from workflows.journal import Journal
    from workflows.timing import MEMORY

NOTHING_TO_LEARN = ("offline",)
"""Engines that would write the same again whatever they are told: the memory isn't even loaded for them."""


class Lessons:
    """`source` names the run that a lesson comes from, and what it is counted under."""

    def __init__(self, request: ExperimentRequest, journal: Journal, source: str) -> None:
        self._request = request
        self._journal = journal
        self._source = source
        self._given: dict[int, list[LessonRef]] = {}
        self._down = ""

    async def recall(self, attempt: int, failures: Sequence[GateResult] = ()) -> Digest | None:
        """Lessons for the code that is to be written next, as an artifact; `attempt` is 0 before the first."""
        if self._request.engine in NOTHING_TO_LEARN:
            return None
        order = RecallInput(
            experiment_id=self._source,
            definition=self._request.definition,
            attempt=attempt,
            failures=[*failures],
        )
        try:
            found = await workflow.execute_activity_method(
                Remembering.recall_lessons, order, summary=f"before attempt {attempt + 1}", **MEMORY
            )
        except ActivityError as error:
            self._tell(f"{error.cause or error}")
            return None
        if found.state == "down":
            self._tell(found.note)
        if found.lessons:
            self._given[attempt] = found.lessons
            self._journal.lessons += [GivenLesson(attempt=attempt + 1, lesson=one) for one in found.lessons]
            self._journal.emit(
                "lessons_recalled",
                attempt=attempt,
                lessons=[lesson.model_dump(mode="json") for lesson in found.lessons],
                artifacts={"lessons": found.artifact},
            )
        return found.artifact

    async def learn(self, reports: Sequence[GateReport], definition: Digest) -> None:
        """Tell what was lived through: `reports` are of all attempts, in their order; `definition` is the artifact that
        their code was written for."""
        if self._request.engine in NOTHING_TO_LEARN or not reports:
            return
        uses = self._uses(reports)
        helped = {(use.attempt + 1, use.id): use.helped for use in uses}
        self._journal.lessons = [
            given.model_copy(update={"helped": helped.get((given.attempt, given.lesson.id))})
            for given in self._journal.lessons
        ]
        order = LearnInput(
            experiment_id=self._source,
            definition=self._request.definition,
            definition_digest=definition,
            engine=self._request.engine,
            lived=[
                Lived(
                    attempt=report.attempt,
                    commit=report.commit,
                    gates=report.gates,
                    fix_commit=after.commit if after else None,
                    fixed_gates=after.gates if after else None,
                )
                for report, after in zip(reports, [*reports[1:], None], strict=True)
                if not report.passed
            ],
            uses=uses,
        )
        if not order.lived and not order.uses:
            return
        try:
            learned = await workflow.execute_activity_method(Remembering.learn_lessons, order, **MEMORY)
        except ActivityError as error:
            self._tell(f"{error.cause or error}")
            return
        if learned.state == "down":
            self._tell(learned.note)
        self._journal.emit(
            "lessons_learned",
            new=learned.new,
            known=learned.known,
            helped=[use.id for use in order.uses if use.helped],
            not_helped=[use.id for use in order.uses if not use.helped],
        )

    def _uses(self, reports: Sequence[GateReport]) -> list[LessonUse]:
        """Of code that never came to be judged nothing is known."""
        return [
            use
            for attempt, lessons in self._given.items()
            if attempt < len(reports)
            for use in uses_of(attempt, lessons, reports[attempt].gates)
        ]

    def _tell(self, problem: str) -> None:
        """Once, however often it is met."""
        if problem != self._down:
            self._journal.notice(f"the memory was not asked: {problem}")
            self._down = problem
