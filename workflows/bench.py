"""The sandbox of one experiment: leased when it is first needed, replaced when it is lost, destroyed in any case."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType

with workflow.unsafe.imports_passed_through():
    from activities.failures import SANDBOX_LOST
    from activities.trying import Trying
    from schemas.code import Digest
    from schemas.experiment import ExperimentRequest
    from schemas.gates import GateReport, GateResult
    from schemas.holdout import Holdout, HoldoutReport
    from schemas.secrets import IssueInput
    from schemas.steps import (
        Committed,
        HoldoutInput,
        LeaseInput,
        SandboxesBusy,
        SandboxLease,
        SandboxRef,
        TryOutInput,
    )
    from workflows.journal import Journal
    from workflows.timing import (
        HOST_PICKUP,
        LEASE,
        SANDBOX_ROUNDS,
        TRIALS,
        TRIALS_MARGIN,
        TRIALS_PER_TRY_OUT,
        UNDO,
        line_pause,
    )
    from workflows.undo import Undo


T = TypeVar("T")


class Bench:
    """Where code is tried. `check` is asked after every step whether the run is to stop."""

    def __init__(
        self,
        request: ExperimentRequest,
        journal: Journal,
        undo: Undo,
        check: Callable[[], None],
        lease_seconds: Callable[[], float],
        access: Callable[[], IssueInput | None],
    ) -> None:
        self._request = request
        self._journal = journal
        self._undo = undo
        self._check = check
        self._lease_seconds = lease_seconds
        self._access = access
        self._rounds = 0
        self._lost = False
        self._since = workflow.now()
        self._size: int | None = None
        """Bytes that lay in the sandbox after its last try-out."""
        self.lease: SandboxLease | None = None
        """The latest, also after it was destroyed."""

    @property
    def owner(self) -> str:
        """Whose sandboxes they are: the experiment, or one candidate of it."""
        return self._request.experiment_id

    async def try_out(self, code: Committed, valid: GateResult) -> GateReport:
        """Try a commit out."""

        async def tried(lease: SandboxLease) -> GateReport:
            return await workflow.execute_activity_method(
                Trying.try_out,
                TryOutInput(data=self._request.data.digest, **self._order(code, valid, lease)),
                task_queue=lease.queue,
                summary=f"attempt {self._journal.attempt} in {lease.sandbox_id}",
                schedule_to_start_timeout=HOST_PICKUP,
                start_to_close_timeout=self._patience(TRIALS_PER_TRY_OUT),
                **TRIALS,
            )

        report = await self._in_sandbox(tried)
        self._size = report.workspace_bytes
        if report.workspace and self.lease:
            self._journal.emit(
                "sandbox_preserved",
                sandbox_id=self.lease.sandbox_id,
                provider=self.lease.provider,
                reason=f"failed: {', '.join(gate.gate for gate in report.failed)}",
                size_bytes=report.workspace_bytes,
                workspace=report.workspace,
            )
        return report

    async def open_holdout(
        self, code: Committed, valid: GateResult, holdout: Holdout, trades: Digest
    ) -> HoldoutReport:
        """Run the judged commit on all bars; `trades` are those of its try-out."""

        async def opened(lease: SandboxLease) -> HoldoutReport:
            return await workflow.execute_activity_method(
                Trying.open_holdout,
                HoldoutInput(
                    data=holdout.whole.digest,
                    first=self._request.data.bars,
                    trades=trades,
                    **self._order(code, valid, lease),
                ),
                task_queue=lease.queue,
                summary=f"{holdout.bars} bars in {lease.sandbox_id}",
                schedule_to_start_timeout=HOST_PICKUP,
                start_to_close_timeout=self._patience(1),
                **TRIALS,
            )

        return await self._in_sandbox(opened)

    async def _in_sandbox(self, step: Callable[[SandboxLease], Awaitable[T]]) -> T:
        """Do a step in the leased sandbox; where that is lost with its host or worker, once more in another."""
        while True:
            lease = await self._leased()
            try:
                outcome = await step(lease)
            except ActivityError as error:
                self._check()
                if not _sandbox_is_gone(error) or self._rounds >= SANDBOX_ROUNDS:
                    raise
                self._journal.notice(
                    f"sandbox {lease.sandbox_id} was lost ({error.cause}); the step is redone in another"
                )
                self._lost = True
                continue
            self._check()
            return outcome

    def _order(self, code: Committed, valid: GateResult, lease: SandboxLease) -> dict[str, Any]:
        """What every run of a commit is told."""
        request = self._request
        return {
            "experiment_id": request.experiment_id,
            "sandbox_id": lease.sandbox_id,
            "definition": request.definition,
            "commit": code.commit,
            "entrypoint": code.entrypoint,
            "costs": request.costs,
            "attempt": self._journal.attempt,
            "valid": valid,
            "trial_timeout": request.trial_timeout,
            "access": self._access() if request.definition.secrets else None,
        }

    def _patience(self, trials: int) -> timedelta:
        return trials * timedelta(seconds=self._request.trial_timeout) + TRIALS_MARGIN

    async def clear(self) -> None:
        """Destroy what was leased, before a person is waited for."""
        await self._undo.run("sandbox")

    async def _leased(self) -> SandboxLease:
        if self.lease and not self._lost:
            return self.lease
        request = self._request
        self._rounds += 1
        self._undo.register("sandbox", self._destroy)
        order = LeaseInput(
            experiment_id=request.experiment_id,
            provider=request.sandbox,
            limits=request.limits,
            round=self._rounds,
            lease_seconds=self._lease_seconds(),
        )
        self.lease = await self._granted(order)
        self._lost, self._size, self._since = False, None, workflow.now()
        self._check()
        self._journal.emit("sandbox_created", sandbox_id=self.lease.sandbox_id, provider=self.lease.provider)
        return self.lease

    async def _granted(self, order: LeaseInput) -> SandboxLease:
        """The lease. While every sandbox is in use the run stands in line, and tells its place.

        The first time this run's own worker is asked, which saves a way over the server; then whichever is free.
        """
        place, since, queue = 0, workflow.now(), None
        try:
            while True:
                answer = await workflow.execute_activity_method(
                    Trying.lease_sandbox,
                    order,
                    task_queue=queue,
                    summary=f"round {order.round}",
                    **LEASE,
                )
                queue = line_queue(workflow.info().task_queue)
                if isinstance(answer, SandboxLease):
                    return answer
                self._check()
                if not place:
                    self._journal.emit("queued", place=answer.place, host=answer.host, most=answer.most)
                if answer.place != place:
                    place, since = answer.place, workflow.now()
                self._journal.in_line = _in_words(answer)
                self._journal.show()
                pause = line_pause(place, answer.most, workflow.now() - since)
                await workflow.sleep(pause, summary=self._journal.in_line)
        finally:
            self._journal.in_line = None

    async def _destroy(self) -> None:
        """On the host that holds it; where that is lost, any worker releases what it can reach."""
        ref, lease = SandboxRef(experiment_id=self._request.experiment_id), self.lease
        try:
            gone = await workflow.execute_activity_method(
                Trying.destroy_sandbox,
                ref,
                summary=lease.sandbox_id if lease else "whatever was leased",
                task_queue=lease.queue if lease else None,
                schedule_to_start_timeout=HOST_PICKUP if lease else None,
                **UNDO,
            )
        except ActivityError as error:
            if not _host_is_gone(error):
                raise
            gone = await workflow.execute_activity_method(Trying.destroy_sandbox, ref, **UNDO)
        if lease:
            self._journal.emit(
                "sandbox_cleaned_up",
                sandbox_id=lease.sandbox_id,
                provider=lease.provider,
                reason="no longer needed" if gone.existed else "already gone",
                size_bytes=self._size,
                seconds=round((workflow.now() - self._since).total_seconds(), 3),
                peak_memory_mb=gone.peak_memory_mb,
            )


def line_queue(queue: str) -> str:
    """Where who stands in line asks. Steps of the run's own queue are started eagerly in the worker that has the run in
    its cache, which may be full for long while another has room."""
    return f"{queue}@line"


def _in_words(busy: SandboxesBusy) -> str:
    last = busy.place % 10 if busy.place % 100 not in (11, 12, 13) else 0
    place = f"{busy.place}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"
    return f"{place} in line; all sandboxes of {busy.host} are in use, it may have {busy.most}"


def _host_is_gone(error: ActivityError) -> bool:
    return isinstance(error.cause, TimeoutError) and error.cause.type is TimeoutType.SCHEDULE_TO_START


def _sandbox_is_gone(error: ActivityError) -> bool:
    return _host_is_gone(error) or (
        isinstance(error.cause, ApplicationError) and error.cause.type == SANDBOX_LOST
    )
