"""What a run knows of itself and tells: its progress, its events, the details in the Web UI."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.recording import Recording
    from schemas.experiment import (
        ExperimentRequest,
        ExperimentStatus,
        Progress,
        Recommendation,
        Step,
        TimelineEntry,
    )
    from schemas.gates import GateResult
    from schemas.holdout import Evidence, HoldoutReport
    from schemas.memory import GivenLesson
    from schemas.records import Event
    from schemas.steps import EventBatch
    from schemas.usage import Usage
    from workflows.details import current_details
    from workflows.timing import RECORDS

MOST_NOTICES = 20


@dataclass(frozen=True)
class Ending:
    """How an experiment ends, and by whom; `native` where Temporal itself cancelled it."""

    status: ExperimentStatus
    reason: str
    actor: str = "genesis"
    native: bool = False


class Journal:
    """Keeps the story as it happens. Events reach the records in batches, in the background, in order."""

    def __init__(self, request: ExperimentRequest) -> None:
        self._request = request
        self._unsent: list[Event] = []
        self._sequence = 0
        self._closing = False
        self._settled = 0
        """The events before this number are written, or were refused."""
        self.status = ExperimentStatus.RUNNING
        self.attempt = 1
        self.budget = request.budget
        self.usage: Usage | None = None
        self.lessons: list[GivenLesson] = []
        self.commit: str | None = None
        self.judged: str | None = None
        """The commit that the gates were asked about last: what a decision is bound to."""
        self.ending: Ending | None = None
        self.gates: list[GateResult] = []
        self.holdout: HoldoutReport | None = None
        self.evidence: Evidence | None = None
        self.recommendation: Recommendation | None = None
        self.waiting_until: datetime | None = None
        self.in_line: str | None = None
        self.timeline: list[TimelineEntry] = []
        self.notices: list[str] = []

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """One step of the story, timed; it is told when it begins, however it ends."""
        at = len(self.timeline)
        self.timeline.append(TimelineEntry(step=step, attempt=self.attempt, started=workflow.now()))
        self.emit("step_started", step=step, attempt=self.attempt)
        try:
            yield
        finally:
            if workflow.in_workflow():  # else the run is torn down with its worker, and has no clock any more
                took = (workflow.now() - self.timeline[at].started).total_seconds()
                self.timeline[at] = self.timeline[at].model_copy(update={"seconds": round(took, 3)})
                self.show()

    def summarise(self, summary: str) -> None:
        """Say of the current step what came of it."""
        self.timeline[-1] = self.timeline[-1].model_copy(update={"summary": summary})

    def emit(
        self, event: str, status: ExperimentStatus | None = None, actor: str = "genesis", **data: Any
    ) -> None:
        if status is not None:
            self.status = status
        self._unsent.append(
            Event(
                event_id=f"{self._request.experiment_id}#{self._sequence}",
                experiment_id=self._request.experiment_id,
                sequence=self._sequence,
                at=workflow.now(),
                event=event,
                actor=actor,
                status=status,
                data=data,
            )
        )
        self._sequence += 1
        self.show()

    def add_usage(self, usage: Usage | None) -> None:
        if usage:
            self.usage = self.usage + usage if self.usage else usage

    def notice(self, text: str) -> None:
        self.notices = [*self.notices, text][-MOST_NOTICES:]
        self.show()

    @property
    def here(self) -> Step:
        return self.timeline[-1].step if self.timeline else Step.OPEN

    def progress(self) -> Progress:
        return Progress(
            experiment_id=self._request.experiment_id,
            strategy=self._request.definition.name,
            status=self.status,
            step=self.here,
            attempt=self.attempt,
            max_fixes=self._request.max_fixes,
            commit=self.commit,
            gates=self.gates,
            recommendation=self.recommendation,
            waiting_until=self.waiting_until,
            in_line=self.in_line,
            timeline=self.timeline,
            usage=self.usage,
            notices=self.notices,
        )

    def show(self) -> None:
        workflow.set_current_details(current_details(self.progress()))

    async def keep(self) -> None:
        """Write events as they come, until the journal is closed and all are written."""
        while True:
            await workflow.wait_condition(lambda: bool(self._unsent) or self._closing)
            if not self._unsent:
                return
            batch, self._unsent = self._unsent, []
            await self._write(batch)
            self._settled = batch[-1].sequence + 1

    async def _write(self, batch: list[Event]) -> None:
        try:
            await workflow.execute_activity_method(
                Recording.record_events,
                EventBatch(events=batch),
                summary=", ".join(dict.fromkeys(event.event for event in batch)),
                **RECORDS,
            )
        except ActivityError as error:
            # The records are a projection: what they refuse is said, and doesn't undo what happened.
            workflow.logger.error("the records refused events: %s", error.cause)
            self.notice(f"the records refused {len(batch)} events: {error.cause}")

    async def settled(self) -> None:
        """Wait until the records have what was emitted so far, or have refused it."""
        last = self._sequence
        await workflow.wait_condition(lambda: self._settled >= last)

    def close(self) -> None:
        self._closing = True
