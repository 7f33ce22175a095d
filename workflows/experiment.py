"""One strategy experiment, from its definition to the merge or the way back."""

import asyncio
import builtins
from datetime import datetime

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import (
    ApplicationError,
    FailureError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.authoring import Authoring
    from activities.merging import Merging
    from domain.recommendation import recommend
    from schemas.experiment import (
        ApprovalPolicy,
        Decision,
        DecisionAction,
        DecisionReceipt,
        ExperimentRequest,
        ExperimentResult,
        ExperimentStatus,
        Progress,
        Step,
        Verdict,
    )
    from schemas.gates import Gate, GateReport, GateResult, Outcome
    from schemas.library import MergeOutcome
    from schemas.steps import (
        BranchRef,
        Committed,
        FixInput,
        GenerateInput,
        MergeInput,
        ValidateInput,
    )
    from workflows.bench import Bench
    from workflows.desk import Desk
    from workflows.journal import Ending, Journal
    from workflows.messages import EMPTY
    from workflows.papers import Papers
    from workflows.timing import COMMIT, ENGINE, LEASE_GRACE, UNDO
    from workflows.undo import Undo, uninterrupted


@workflow.defn(name="StrategyExperiment")
class StrategyExperiment:
    @workflow.init
    def __init__(self, request: ExperimentRequest) -> None:
        self._request = request
        self._id = request.experiment_id
        self._strategy = request.definition.name
        self._journal = Journal(request)
        self._undo = Undo()
        self._desk = Desk(self._id, self._journal)
        self._bench = Bench(request, self._journal, self._undo, self._check, self._lease_seconds)
        self._deadline: datetime = workflow.info().start_time + request.timeout
        self._code: Committed | None = None
        self._valid: GateResult | None = None
        self._report: GateReport | None = None
        self._merged: MergeOutcome | None = None
        self._papers = Papers(request, self._journal)

    # -- the story

    @workflow.run
    async def run(self, request: ExperimentRequest) -> ExperimentResult:
        bookkeeping = asyncio.create_task(self._journal.keep())
        failure = await self._until_ended(asyncio.create_task(self._experiment()))
        await self._undo.run()
        await uninterrupted(asyncio.create_task(self._close(bookkeeping)))
        await workflow.wait_condition(workflow.all_handlers_finished)
        if failure:
            raise failure
        return self._papers.result(self._code, self._report, self._merged)

    async def _experiment(self) -> None:
        self._open()
        await self._generate()
        while True:
            await self._validate()
            await self._try_out()
            if not self._can_fix() or not await self._fix():
                break
        self._recommend()
        if await self._decide():
            await self._merge()

    def _open(self) -> None:
        request = self._request
        with self._journal.step(Step.OPEN):
            self._journal.emit(
                "experiment_opened",
                ExperimentStatus.RUNNING,
                actor=request.requested_by,
                strategy=self._strategy,
                data_sha256=request.data.digest,
                data_name=request.data.name,
                engine=request.engine,
                approval=request.approval,
                requested_by=request.requested_by,
            )

    async def _generate(self) -> None:
        branch = f"ai/generate/{self._strategy}/{self._id}"
        self._undo_branch(branch)
        with self._journal.step(Step.GENERATE):
            order = GenerateInput(
                experiment_id=self._id,
                definition=self._request.definition,
                data=self._request.data.digest,
                engine=self._request.engine,
                branch=branch,
                lease_seconds=self._lease_seconds(),
            )
            self._code = await workflow.execute_activity_method(
                Authoring.generate_code,
                order,
                summary=f"{self._request.engine} writes {branch}",
                **ENGINE,
            )
            self._check()
            self._journal.commit = self._code.commit
            self._journal.summarise(self._code.summary)
            self._journal.emit(
                "code_generated",
                branch=branch,
                commit=self._code.commit,
                code=self._code.code,
                definition_sha256=self._code.definition_digest,
                engine=self._code.engine,
            )

    async def _validate(self) -> None:
        code = self._written
        self._journal.gates = []
        with self._journal.step(Step.VALIDATE):
            order = ValidateInput(
                experiment_id=self._id,
                strategy=self._strategy,
                branch=code.branch,
                commit=code.commit,
                entrypoint=code.entrypoint,
                attempt=self._journal.attempt,
            )
            validated = await workflow.execute_activity_method(
                Authoring.validate_code, order, summary=f"attempt {self._journal.attempt}", **COMMIT
            )
            self._check()
            self._valid = validated.gate
            self._code = code.model_copy(update={"commit": validated.commit, "code": validated.code})
            self._journal.commit = validated.commit
            self._journal.gates = [validated.gate]
            self._journal.summarise(validated.gate.summary)
            self._journal.emit(
                "code_validated",
                commit=validated.commit,
                code=validated.code,
                outcome=validated.gate.outcome,
                findings=len(validated.findings),
            )

    async def _try_out(self) -> None:
        assert self._valid is not None
        if self._valid.outcome is Outcome.PASSED:
            with self._journal.step(Step.TRY_OUT):
                self._report = await self._bench.try_out(self._written, self._valid)
                self._journal.summarise(_tally(self._report))
        else:
            later = [gate for gate in Gate if gate is not Gate.VALID]
            unasked = [
                GateResult(gate=g, outcome=Outcome.NOT_RUN, summary="the code is not valid") for g in later
            ]
            self._report = GateReport(
                commit=self._written.commit, attempt=self._journal.attempt, gates=[self._valid, *unasked]
            )
        self._journal.gates = self._report.gates
        self._journal.judged = self._report.commit
        self._journal.emit(
            "gates_judged",
            attempt=self._report.attempt,
            commit=self._report.commit,
            gates={gate.gate.value: gate.outcome.value for gate in self._report.gates},
            metrics=self._report.metrics.model_dump() if self._report.metrics else None,
            trades=self._report.trades,
        )

    def _can_fix(self) -> bool:
        assert self._report is not None
        return not self._report.passed and self._journal.attempt <= self._request.max_fixes

    async def _fix(self) -> bool:
        assert self._report is not None
        branch = f"ai/fix/{self._strategy}/{self._id}"
        self._undo_branch(branch)
        with self._journal.step(Step.FIX):
            order = FixInput(
                experiment_id=self._id,
                definition=self._request.definition,
                data=self._request.data.digest,
                engine=self._request.engine,
                branch=branch,
                lease_seconds=self._lease_seconds(),
                attempt=self._journal.attempt,
                commit=self._report.commit,
                entrypoint=self._written.entrypoint,
                failures=self._report.failures,
            )
            fix = await workflow.execute_activity_method(
                Authoring.fix_code, order, summary=f"repair attempt {order.attempt}", **ENGINE
            )
            self._check()
            self._journal.summarise(fix.reason)
            self._journal.emit(
                "fix_made", attempt=order.attempt, made=fix.committed is not None, reason=fix.reason
            )
        if fix.committed is None:
            self._journal.notice(fix.reason)
            return False
        self._code = fix.committed
        self._journal.commit = fix.committed.commit
        self._journal.attempt += 1
        return True

    def _recommend(self) -> None:
        assert self._report is not None
        with self._journal.step(Step.RECOMMEND):
            found = recommend(
                self._report.gates,
                self._report.metrics,
                self._request.definition.thresholds,
                self._request.thresholds,
            )
            self._journal.recommendation = found
            self._journal.summarise(found.verdict)
            self._journal.emit(
                "recommended", verdict=found.verdict, reason=found.reason, adaptations=found.adaptations
            )

    async def _decide(self) -> bool:
        """Say whether to merge. What failed its gates is rolled back: there is nothing a person could approve."""
        found, policy = self._journal.recommendation, self._request.approval
        assert found is not None
        if found.verdict is Verdict.ROLLBACK:
            self._end(ExperimentStatus.ROLLED_BACK, found.reason)
            return False
        if policy is ApprovalPolicy.DRY_RUN:
            self._end(ExperimentStatus.DRY_RUN, f"dry run: nothing is merged; recommended is {found.verdict}")
            return False
        if policy is ApprovalPolicy.AUTO and found.verdict is Verdict.MERGE:
            return True
        with self._journal.step(Step.DECIDE):
            await self._bench.clear()
            await self._write_report()
            self._check()
            self._journal.waiting_until = self._deadline
            self._journal.emit("decision_awaited", ExperimentStatus.WAITING, commit=self._journal.judged)
            await workflow.wait_condition(lambda: self._desk.decision is not None)
            decision = self._desk.decision
            assert decision is not None
            self._journal.waiting_until = None
            self._journal.summarise(f"{decision.action} by {decision.by}")
            self._journal.emit(
                "decision_taken",
                actor=decision.by,
                action=decision.action,
                commit=self._journal.judged,
                comment=decision.comment,
            )
        if decision.action is DecisionAction.APPROVE:
            return True
        words = f": {decision.comment}" if decision.comment else ""
        self._end(ExperimentStatus.ROLLED_BACK, f"rejected by {decision.by}{words}", decision.by)
        return False

    async def _merge(self) -> None:
        """From here on nothing stops the experiment: there is one merge, or a conflict that changed nothing."""
        report, found = self._report, self._journal.recommendation
        assert report is not None
        assert report.metrics is not None
        assert found is not None
        with self._journal.step(Step.MERGE):
            self._journal.emit("merge_started", ExperimentStatus.MERGING, commit=report.commit)
            order = MergeInput(
                experiment_id=self._id,
                strategy=self._strategy,
                commit=report.commit,
                subject=f"Merge {self._strategy} {self._request.definition.version}",
                body=found.reason,
                definition_digest=self._written.definition_digest,
                data=self._request.data.digest,
                engine=self._written.engine,
                image=self._bench.lease.image if self._bench.lease else "unknown",
                metrics=report.metrics,
            )
            merge = await workflow.execute_activity_method(
                Merging.merge_strategy,
                order,
                summary=f"{self._strategy} {report.commit[:10]}",
                **COMMIT,
            )
            if merge.status == "conflict":
                reason = (
                    f"the library has moved: {', '.join(merge.conflicts)} changed since this experiment began; "
                    "run it again on today's library"
                )
                self._journal.summarise("conflict")
                self._end(ExperimentStatus.ROLLED_BACK, reason)
                return
            self._merged = merge
            self._journal.summarise(f"{merge.tag} at {(merge.commit or '')[:10]}")
            self._end(ExperimentStatus.MERGED, found.reason, commit=merge.commit, tag=merge.tag)

    async def _close(self, bookkeeping: "asyncio.Task[None]") -> None:
        with self._journal.step(Step.CLOSE):
            for problem in self._undo.problems:
                self._journal.notice(f"left behind for the sweep: {problem}")
            await self._write_report()
        self._journal.emit("experiment_closed", undo_problems=self._undo.problems)
        self._journal.close()
        await bookkeeping
        await self._papers.export_history()

    # -- ending

    async def _until_ended(self, story: "asyncio.Task[None]") -> BaseException | None:
        """Wait for the story's end, the deadline, or a word to stop; what the run has to raise in the end."""
        try:
            await workflow.wait_condition(
                lambda: story.done() or self._desk.stop is not None,
                timeout=self._deadline - workflow.now(),
                timeout_summary="the experiment's deadline",
            )
        except builtins.TimeoutError:
            self._desk.stop = self._desk.stop or Ending(
                ExperimentStatus.ROLLED_BACK, f"the deadline passed after {self._request.timeout}"
            )
        except asyncio.CancelledError:
            self._desk.stop = Ending(ExperimentStatus.CANCELLED, "cancelled through Temporal", native=True)
        if self._journal.status is not ExperimentStatus.MERGING:
            story.cancel()
        await uninterrupted(story)
        error = None if story.cancelled() else story.exception()
        if self._journal.ending:
            return None
        if self._desk.stop and (story.cancelled() or error is None or is_cancelled_exception(error)):
            self._end(self._desk.stop.status, self._desk.stop.reason, self._desk.stop.actor)
            return asyncio.CancelledError(self._desk.stop.reason) if self._desk.stop.native else None
        if not isinstance(error, FailureError):
            # A mistake in this code: Temporal holds the run where it is, to go on once it is mended.
            raise error or AssertionError("the story ended without an ending")
        cause = error.cause or error
        self._end(ExperimentStatus.FAILED, f"{cause}")
        return ApplicationError(
            f"the step {self._journal.here} failed: {cause}", type="ExperimentFailed", non_retryable=True
        )

    def _end(self, status: ExperimentStatus, reason: str, actor: str = "genesis", **data: str | None) -> None:
        self._journal.ending = Ending(status, reason, actor)
        event = "dry_run_ended" if status is ExperimentStatus.DRY_RUN else status.value
        self._journal.emit(event, status, actor=actor, reason=reason, **data)

    def _check(self) -> None:
        """A cancelled step may have ended well all the same: the story stops here, before it makes anything more."""
        if self._desk.stop and self._journal.status is not ExperimentStatus.MERGING:
            raise asyncio.CancelledError(self._desk.stop.reason)

    def _undo_branch(self, branch: str) -> None:
        async def delete() -> None:
            await workflow.execute_activity_method(
                Authoring.delete_branch,
                BranchRef(experiment_id=self._id, branch=branch),
                summary=branch,
                **UNDO,
            )

        self._undo.register(f"branch {branch}", delete)

    async def _write_report(self) -> None:
        await self._papers.write(self._code, self._report, self._merged, self._bench.lease)

    def _lease_seconds(self) -> float:
        return (self._deadline - workflow.now() + LEASE_GRACE).total_seconds()

    @property
    def _written(self) -> Committed:
        assert self._code is not None
        return self._code

    # -- messages

    @workflow.query
    def progress(self) -> Progress:
        return self._journal.progress()

    @workflow.update
    def decide(self, decision: Decision) -> DecisionReceipt:
        return self._desk.accept(decision)

    @decide.validator
    def _may_decide(self, decision: Decision) -> None:
        if refusal := self._desk.refusal(decision):
            raise ApplicationError(refusal, type="DecisionRefused", non_retryable=True)

    @workflow.signal
    def approve(self, message: RawValue = EMPTY) -> None:
        self._desk.signalled(DecisionAction.APPROVE, message)

    @workflow.signal
    def reject(self, message: RawValue = EMPTY) -> None:
        self._desk.signalled(DecisionAction.REJECT, message)

    @workflow.signal
    def cancel(self, message: RawValue = EMPTY) -> None:
        self._desk.signalled(DecisionAction.CANCEL, message)


def _tally(report: GateReport) -> str:
    passed = sum(gate.outcome is Outcome.PASSED for gate in report.gates)
    return f"{passed} of {len(report.gates)} gates passed"
