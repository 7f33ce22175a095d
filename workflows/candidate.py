"""One candidate of several: code is written, tried out and repaired as in an experiment of its own, up to the verdict.

Its branch stays for the experiment, whose it is and which deletes it; the sandbox is its own, and goes with it.
"""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.failures import UNMADE
    from schemas.budget import Budget
    from schemas.candidates import CandidateNews, CandidateOrder, CandidateOutcome
    from schemas.experiment import ExperimentRequest
    from schemas.records import Event
    from schemas.secrets import IssueInput
    from workflows.bench import Bench
    from workflows.craft import Craft, kind_of
    from workflows.journal import Journal
    from workflows.timing import lease_seconds
    from workflows.undo import Undo, uninterrupted

NEWS = "hear_candidate"
"""The experiment's signal."""


def candidate_id(experiment_id: str, number: int) -> str:
    return f"{experiment_id}-c{number}"


@workflow.defn(name="Candidate")
class Candidate:
    @workflow.init
    def __init__(self, order: CandidateOrder) -> None:
        request, self._number = order.request, order.number
        self._deadline: datetime = workflow.info().start_time + order.time_left
        self._engine, self._granted = request.engine, order.access
        self._journal = _CandidateJournal(request, order.number)
        self._undo = Undo()
        own = request.model_copy(update={"experiment_id": candidate_id(request.experiment_id, order.number)})
        bench = Bench(own, self._journal, self._undo, _check, self._lease_seconds, self._access)
        self._craft = Craft(
            request,
            self._journal,
            bench,
            _undone_by_experiment,
            _check,
            self._lease_seconds,
            self._access,
            order.number,
        )

    @workflow.run
    async def run(self, order: CandidateOrder) -> CandidateOutcome:
        bookkeeping = asyncio.create_task(self._journal.keep())
        story = asyncio.create_task(self._craft.run())
        try:
            await workflow.wait_condition(story.done)
        except asyncio.CancelledError:
            story.cancel()
        await uninterrupted(story)
        await self._undo.run()
        self._journal.close()
        await uninterrupted(bookkeeping)
        error = None if story.cancelled() else story.exception()
        if story.cancelled() or (error and is_cancelled_exception(error)):
            raise asyncio.CancelledError
        if error is not None and not isinstance(error, FailureError):
            raise error  # a mistake in this code: Temporal holds the run where it is
        return CandidateOutcome(
            number=self._number,
            engine=self._engine,
            attempts=self._journal.attempt,
            code=self._craft.code,
            report=self._craft.report,
            sandbox=self._craft.sandbox,
            lessons=self._journal.lessons,
            usage=self._journal.usage,
            problem=f"{error.cause or error}" if isinstance(error, FailureError) else "",
            unmade=error is not None and kind_of(error) in UNMADE,
        )

    @workflow.signal
    def change_budget(self, budget: Budget) -> None:
        self._journal.budget = budget

    def _lease_seconds(self) -> float:
        return lease_seconds(self._deadline - workflow.now())

    def _access(self) -> IssueInput | None:
        """The experiment's, for as long as is left."""
        left = {"lease_seconds": self._lease_seconds()}
        return self._granted.model_copy(update=left) if self._granted else None


def _undone_by_experiment(_: str) -> None:
    """The experiment deletes the branches, which it may still need."""


def _check() -> None:
    """A cancelled step may have ended well all the same, and no second cancel comes: the candidate stops here."""
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


class _CandidateJournal(Journal):
    """Tells the experiment what it would write into the records."""

    def __init__(self, request: ExperimentRequest, number: int) -> None:
        super().__init__(request)
        self._number = number

    async def _write(self, batch: list[Event]) -> None:
        info = workflow.info().parent
        assert info is not None
        experiment = workflow.get_external_workflow_handle(info.workflow_id, run_id=info.run_id)
        await experiment.signal(NEWS, CandidateNews(number=self._number, events=batch))
