"""Several candidates side by side, each a child of the experiment's run; the best verified one goes on."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, FailureError
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.failures import NOTHING_MADE
    from domain.contest import best_of
    from schemas.budget import Budget
    from schemas.candidates import CandidateNews, CandidateOrder, CandidateOutcome
    from schemas.experiment import ExperimentRequest, Step
    from schemas.gates import GateReport
    from schemas.secrets import IssueInput
    from schemas.steps import Committed
    from workflows.candidate import Candidate, candidate_id
    from workflows.craft import Craft, branches_of
    from workflows.journal import Journal
    from workflows.undo import uninterrupted

PASSED_ON = (
    "code_generated",
    "code_validated",
    "gates_judged",
    "fix_made",
    "sandbox_created",
    "sandbox_preserved",
    "sandbox_cleaned_up",
    "queued",
    "lessons_recalled",
    "lessons_learned",
)
"""What of a candidate's story belongs to the experiment's record; the rest is in the candidate's own run."""


class Contest:
    """Like Craft, with several at work; the best one's code and report become those of `craft`."""

    def __init__(
        self,
        request: ExperimentRequest,
        journal: Journal,
        craft: Craft,
        undo_branch: Callable[[str], None],
        check: Callable[[], None],
        time_left: Callable[[], timedelta],
        access: Callable[[], IssueInput | None],
    ) -> None:
        self._request = request
        self._journal = journal
        self._craft = craft
        self._undo_branch = undo_branch
        self._check = check
        self._time_left = time_left
        self._access = access
        self._working: list[ChildWorkflowHandle[Candidate, CandidateOutcome]] = []
        self._beginning = 0
        """Candidates that have their orders and aren't at work yet."""
        self._tries: dict[tuple[int, int], int] = {}
        """Number of a candidate and of its attempt: the attempt as the experiment counts them."""

    async def run(self) -> None:
        engines = self._request.writers
        for number in range(1, len(engines) + 1):
            for branch in branches_of(self._request, number):
                self._undo_branch(branch)
        with self._journal.step(Step.CONTEST):
            outcomes = await _all_ended(
                [
                    asyncio.create_task(self._candidate(number, engine))
                    for number, engine in enumerate(engines, start=1)
                ]
            )
            self._check()
            best = best_of(outcomes)
            if best is None or best.report is None or best.code is None:
                problems = "; ".join(
                    f"candidate {one.number} ({one.engine}): {one.problem}" for one in outcomes
                )
                kind = NOTHING_MADE if all(one.unmade for one in outcomes) else "NoCandidate"
                raise ApplicationError(f"no candidate was judged: {problems}", type=kind, non_retryable=True)
            self._choose(best, best.code, best.report, len(outcomes))

    async def change_budget(self, budget: Budget) -> None:
        """Tell it to the candidates that are at work, or are about to be."""
        await workflow.wait_condition(lambda: not self._beginning)
        for candidate in self._working:
            if not candidate.done():
                try:
                    await candidate.signal(Candidate.change_budget, budget)
                except FailureError as error:  # it has ended since
                    workflow.logger.info("candidate %s wasn't told of its budget: %s", candidate.id, error)

    def hear(self, news: CandidateNews) -> None:
        """Take what a candidate tells into the experiment's story."""
        for event in news.events:
            if event.event not in PASSED_ON:
                continue
            data = {**event.data, "candidate": news.number}
            if event.event == "gates_judged":
                data["attempt"] = self._number(news.number, int(event.data["attempt"]))
                self._journal.attempt = max(self._journal.attempt, data["attempt"])
            self._journal.emit(event.event, **data)

    async def _candidate(self, number: int, engine: str) -> CandidateOutcome:
        request = self._request
        alone = request.model_copy(
            update={"engine": engine, "engines": [], "candidates": 1, "budget": self._journal.budget}
        )
        order = CandidateOrder(
            request=alone, number=number, time_left=self._time_left(), access=self._access()
        )
        try:
            candidate = await self._begun(order)
            self._working.append(candidate)
            outcome = await candidate
        except ChildWorkflowError as error:
            self._check()
            outcome = CandidateOutcome(
                number=number, engine=engine, attempts=0, problem=f"{error.cause or error}"
            )
        self._journal.add_usage(outcome.usage)
        if outcome.problem:
            self._journal.notice(f"candidate {number} ({engine}) ended early: {outcome.problem}")
        return outcome

    async def _begun(self, order: CandidateOrder) -> ChildWorkflowHandle[Candidate, CandidateOutcome]:
        self._beginning += 1
        try:
            return await workflow.start_child_workflow(
                Candidate.run,
                order,
                id=candidate_id(order.request.experiment_id, order.number),
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                static_summary=f"{order.request.engine}: candidate {order.number} of {len(self._request.writers)}",
            )
        finally:
            self._beginning -= 1

    def _choose(self, best: CandidateOutcome, code: Committed, report: GateReport, many: int) -> None:
        journal = self._journal
        report = report.model_copy(update={"attempt": self._number(best.number, report.attempt)})
        self._craft.code, self._craft.report, self._craft.sandbox = code, report, best.sandbox
        journal.lessons = best.lessons
        journal.gates, journal.commit, journal.judged = report.gates, code.commit, report.commit
        passed = "passed its gates" if report.passed else "failed least"
        journal.summarise(f"candidate {best.number} of {many} ({best.engine}) {passed}")
        journal.emit(
            "candidate_chosen",
            candidate=best.number,
            engine=best.engine,
            attempt=report.attempt,
            commit=report.commit,
            code=code.code,
            trades=report.trades,
        )

    def _number(self, candidate: int, attempt: int) -> int:
        return self._tries.setdefault((candidate, attempt), len(self._tries) + 1)


async def _all_ended(tasks: "list[asyncio.Task[CandidateOutcome]]") -> list[CandidateOutcome]:
    """What they came to. A cancel is passed on to each, and still all are waited for: what a candidate undoes is gone
    before its experiment goes on."""
    try:
        await workflow.wait_condition(lambda: all(task.done() for task in tasks))
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        for task in tasks:
            await uninterrupted(task)
        raise
    return [task.result() for task in tasks]
