"""One strategy experiment, from its definition to the merge or the way back."""

import asyncio
import builtins
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import (
    ApplicationError,
    FailureError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.authoring import Authoring
    from activities.failures import UNMADE
    from activities.merging import Merging
    from domain.recommendation import recommend
    from schemas.budget import Budget
    from schemas.candidates import CandidateNews
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
    from schemas.library import MergeOutcome
    from schemas.secrets import IssueInput
    from schemas.steps import BranchRef, MergeInput
    from workflows.access import access_of, grant
    from workflows.bench import Bench
    from workflows.candidate import NEWS
    from workflows.contest import Contest
    from workflows.craft import Craft, kind_of
    from workflows.desk import Desk
    from workflows.journal import Ending, Journal
    from workflows.messages import EMPTY
    from workflows.papers import Papers
    from workflows.scales import weigh
    from workflows.timing import COMMIT, UNDO, lease_seconds
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
        self._bench = Bench(
            request, self._journal, self._undo, self._check, self._lease_seconds, self._access
        )
        self._deadline: datetime = workflow.info().start_time + request.timeout
        self._craft = Craft(
            request,
            self._journal,
            self._bench,
            self._undo_branch,
            self._check,
            self._lease_seconds,
            self._access,
        )
        self._contest = Contest(
            request,
            self._journal,
            self._craft,
            self._undo_branch,
            self._check,
            self._time_left,
            self._access,
        )
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
        return self._papers.result(self._craft.code, self._craft.report, self._merged)

    async def _experiment(self) -> None:
        self._open()
        await self._grant_access()
        await (self._contest if len(self._request.writers) > 1 else self._craft).run()
        await self._weigh()
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
                whole_sha256=request.holdout.whole.digest if request.holdout else None,
                engine=", ".join(dict.fromkeys(request.writers)),
                approval=request.approval,
                requested_by=request.requested_by,
                budget=request.budget.model_dump(mode="json"),
                **({"forked_from": request.fork.model_dump(mode="json")} if request.fork else {}),
            )

    async def _grant_access(self) -> None:
        """Most experiments read no secret, and get no token."""
        if access := self._access():
            await grant(access, self._journal, self._undo)
            self._check()

    async def _weigh(self) -> None:
        """What failed a gate leaves the holdout sealed."""
        report = self._craft.report
        assert report is not None
        if report.passed:
            with self._journal.step(Step.WEIGH):
                await weigh(self._request, self._journal, self._bench, self._craft.written, report)
                self._check()

    def _recommend(self) -> None:
        assert self._craft.report is not None
        journal, request = self._journal, self._request
        with self._journal.step(Step.RECOMMEND):
            thresholds = (request.definition.thresholds, request.thresholds)
            found = recommend(self._craft.report, journal.holdout, journal.evidence, *thresholds)
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
        report, found = self._craft.report, self._journal.recommendation
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
                definition_digest=self._craft.written.definition_digest,
                data=self._request.data.digest,
                engine=self._craft.written.engine,
                image=self._craft.sandbox.image if self._craft.sandbox else "unknown",
                forked_from=self._request.fork.experiment_id if self._request.fork else "",
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
        if kind_of(error) in UNMADE:
            self._end(ExperimentStatus.ROLLED_BACK, f"{cause}")
            return None
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
        await self._papers.write(self._craft.code, self._craft.report, self._merged, self._craft.sandbox)

    def _access(self) -> IssueInput | None:
        return access_of(self._request, self._lease_seconds())

    def _time_left(self) -> timedelta:
        return self._deadline - workflow.now()

    def _lease_seconds(self) -> float:
        return lease_seconds(self._time_left())

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

    @workflow.update
    async def change_budget(self, wish: Budget) -> Budget:
        """Change what is given, of a run that isn't at its end; what is reserved or spent already stays so."""
        self._journal.budget = self._journal.budget.changed(wish)
        self._journal.emit("budget_changed", budget=self._journal.budget.model_dump(mode="json"))
        await self._contest.change_budget(self._journal.budget)
        return self._journal.budget

    @change_budget.validator
    def _may_change_budget(self, wish: Budget) -> None:
        if self._journal.ending or self._desk.stop:
            raise ApplicationError(
                f"{self._id} is at its end; nothing was changed", type="DecisionRefused", non_retryable=True
            )

    @workflow.signal(name=NEWS)
    def _hear_candidate(self, news: CandidateNews) -> None:
        self._contest.hear(news)

    @workflow.signal
    def approve(self, message: RawValue = EMPTY) -> None:
        self._desk.signalled(DecisionAction.APPROVE, message)

    @workflow.signal
    def reject(self, message: RawValue = EMPTY) -> None:
        self._desk.signalled(DecisionAction.REJECT, message)

    @workflow.signal
    def cancel(self, message: RawValue = EMPTY) -> None:
        self._desk.signalled(DecisionAction.CANCEL, message)
