"""An experiment's papers: report, diff, exported history. Wanted, but nothing fails for the lack of them."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.recording import Recording
    from schemas.experiment import ExperimentRequest, ExperimentResult
    from schemas.gates import GateReport
    from schemas.library import MergeOutcome
    from schemas.steps import Committed, ExportInput, ReportInput, ReportOutput, SandboxLease
    from workflows.journal import Journal
    from workflows.timing import PAPERS


class Papers:
    def __init__(self, request: ExperimentRequest, journal: Journal) -> None:
        self._request = request
        self._journal = journal
        self._written = ReportOutput(report=None, diff=None)

    def result(
        self, code: Committed | None, report: GateReport | None, merge: MergeOutcome | None
    ) -> ExperimentResult:
        """What the experiment has come to by now."""
        journal = self._journal
        return ExperimentResult(
            experiment_id=self._request.experiment_id,
            strategy=self._request.definition.name,
            status=journal.status,
            reason=journal.ending.reason if journal.ending else "",
            recommendation=journal.recommendation,
            attempts=journal.attempt,
            judged_commit=report.commit if report else None,
            merged_commit=merge.commit if merge else None,
            tag=merge.tag if merge else None,
            gates=journal.gates,
            metrics=report.metrics if report else None,
            stressed=report.stressed if report else None,
            holdout=journal.holdout,
            evidence=journal.evidence,
            engine=code.engine if code else "",
            forked_from=self._request.fork,
            usage=journal.usage,
            lessons=journal.lessons,
            trades=report.trades if report else None,
            report=self._written.report,
            code=code.code if code else None,
            diff=self._written.diff,
            definition_digest=code.definition_digest if code else None,
            data=self._request.data.digest,
            timeline=journal.timeline,
        )

    async def write(
        self,
        code: Committed | None,
        report: GateReport | None,
        merge: MergeOutcome | None,
        sandbox: SandboxLease | None,
    ) -> None:
        """Write the report of what is known by now; a later one replaces it."""
        order = ReportInput(
            request=self._request,
            result=self.result(code, report, merge),
            report=report,
            sandbox=sandbox,
            branch_commit=code.commit if code else None,
            budget=self._journal.budget,
        )
        try:
            self._written = await workflow.execute_activity_method(
                Recording.write_report, order, summary=f"{order.result.status}", **PAPERS
            )
        except ActivityError as error:
            workflow.logger.warning("the report was not written: %s", error.cause)
            self._journal.notice(f"the report was not written: {error.cause}")
        else:
            self._journal.emit("report_written", **self._written.model_dump(exclude_none=True))

    async def export_history(self) -> None:
        order = ExportInput(experiment_id=self._request.experiment_id)
        try:
            await workflow.execute_activity_method(Recording.export_history, order, **PAPERS)
        except ActivityError as error:
            workflow.logger.warning("the run's history was not exported: %s", error.cause)
