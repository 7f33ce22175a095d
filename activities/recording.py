"""What happened is written down: events, the report, the run's history."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import permanent
from schemas.steps import EventBatch, ExportInput, HistoryExport, ReportInput, ReportOutput, Written

if TYPE_CHECKING:
    from services.records import Records
    from services.reporting import Reporter
    from services.temporal.histories import Histories


class Recording:
    def __init__(self, records: "Records", reporter: "Reporter", histories: "Histories") -> None:
        self._records = records
        self._reporter = reporter
        self._histories = histories

    @activity.defn(no_thread_cancel_exception=True)
    def record_events(self, batch: EventBatch) -> Written:
        with permanent(*self._records.permanent_errors):
            return Written(new=self._records.write(batch.events))

    @activity.defn(no_thread_cancel_exception=True)
    def write_report(self, order: ReportInput) -> ReportOutput:
        return self._reporter.write(order)

    @activity.defn
    async def export_history(self, order: ExportInput) -> HistoryExport:
        return await self._histories.export(order.experiment_id)
