"""The sweep: whatever no open experiment holds is removed. Run by a schedule, and by `starter.py sweep`."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, TimeoutError, TimeoutType

with workflow.unsafe.imports_passed_through():
    from activities.sweeping import Sweeping
    from domain.orphans import why_kept, why_orphan
    from schemas.sweep import (
        Holding,
        Holdings,
        Orphan,
        Removals,
        RemoveInput,
        RunsInput,
        SweepReport,
        SweepRequest,
        Swept,
    )
    from workflows.details import sweep_details
    from workflows.timing import SWEEP, SWEEP_PICKUP

SANDBOX = "sandbox"


@workflow.defn(name="Sweep")
class Sweep:
    """Looks first and asks Temporal then: what was found, and has no open run by now, gets none any more.

    Each step may be repeated. Sandboxes are listed and removed by the worker that holds them; one that doesn't answer
    is passed over, and its leases go with their experiments.
    """

    def __init__(self) -> None:
        self._report = SweepReport()

    @workflow.run
    async def run(self, request: SweepRequest) -> SweepReport:
        found = await self._look(request)
        orphans = await self._judge(found)
        await self._remove(orphans)
        return self._report

    async def _look(self, request: SweepRequest) -> list[Holding]:
        seen = await workflow.execute_activity_method(
            Sweeping.list_holdings, request, summary="in the records and the library", **SWEEP
        )
        looks = await asyncio.gather(*(self._look_at(host, request) for host in seen.hosts))
        answers = {host: look for host, look in zip(seen.hosts, looks, strict=True) if look is not None}
        self._tell(
            hosts=[*answers],
            silent_hosts=[host for host in seen.hosts if host not in answers],
            more=seen.more + sum(look.more for look in answers.values()),
            problems=[*seen.problems, *(problem for look in answers.values() for problem in look.problems)],
        )
        everything = [*seen.found, *(holding for look in answers.values() for holding in look.found)]
        return list({(one.kind, one.name, one.host): one for one in everything}.values())

    async def _look_at(self, host: str, request: SweepRequest) -> Holdings | None:
        """None where nobody took the question up."""
        try:
            return await workflow.execute_activity_method(
                Sweeping.list_sandboxes,
                request,
                task_queue=_queue(host),
                summary=f"sandboxes of {host}",
                schedule_to_start_timeout=SWEEP_PICKUP,
                **SWEEP,
            )
        except ActivityError as error:
            if _is_silent(error):
                return None
            return Holdings(found=[], problems=[f"{host} was not looked at: {error.cause}"])

    async def _judge(self, found: list[Holding]) -> list[Orphan]:
        ids = sorted({holding.experiment_id for holding in found})
        answer = await workflow.execute_activity_method(
            Sweeping.describe_runs,
            RunsInput(experiment_ids=ids),
            summary=f"which of {len(ids)} are open",
            **SWEEP,
        )
        runs = {run.experiment_id: run for run in answer.runs}
        orphans, kept = [], []
        for holding in found:
            run = runs[holding.experiment_id]
            reason = why_orphan(holding, run, workflow.now())
            if reason:
                orphans.append(Orphan(holding=holding, reason=reason, run=run))
            elif run.state != "open":
                kept.append(Swept(**holding.model_dump(exclude={"leased_until"}), reason=why_kept(holding)))
        self._tell(kept=kept, open_experiments=sum(run.state == "open" for run in answer.runs))
        return orphans

    async def _remove(self, orphans: list[Orphan]) -> None:
        """Sandboxes through their workers; then the rest, and the leases of workers that don't answer."""
        rest = [one for one in orphans if one.holding.kind != SANDBOX]
        for host in self._report.hosts:
            mine = [one for one in orphans if one.holding.kind == SANDBOX and one.holding.host == host]
            try:
                self._add(
                    await workflow.execute_activity_method(
                        Sweeping.remove_sandboxes,
                        RemoveInput(orphans=mine),
                        task_queue=_queue(host),
                        summary=f"{len(mine)} sandboxes of {host}",
                        schedule_to_start_timeout=SWEEP_PICKUP,
                        **SWEEP,
                    )
                )
            except ActivityError as error:
                if _is_silent(error):
                    self._tell(silent_hosts=[*self._report.silent_hosts, host])
                else:  # its own trouble: the rest goes all the same, and its leases stay for the next sweep
                    problem = f"the sandboxes of {host} were not removed: {error.cause}"
                    self._tell(problems=[*self._report.problems, problem])
        silent = self._report.silent_hosts
        rest += [one for one in orphans if one.holding.kind == SANDBOX and one.holding.host in silent]
        if rest:
            self._add(
                await workflow.execute_activity_method(
                    Sweeping.remove_orphans,
                    RemoveInput(orphans=rest),
                    summary=f"{len(rest)} branches, leases and records",
                    **SWEEP,
                )
            )

    def _add(self, done: Removals) -> None:
        self._tell(
            removed=[*self._report.removed, *done.removed],
            kept=[*self._report.kept, *done.kept],
        )

    def _tell(self, **found: object) -> None:
        self._report = self._report.model_copy(update=found)
        workflow.set_current_details(sweep_details(self._report))


def _queue(host: str) -> str:
    """The queue of the steps that need a worker's own sandboxes (services.hosts)."""
    return f"{workflow.info().task_queue}@{host}"


def _is_silent(error: ActivityError) -> bool:
    """Whether nobody took the step up."""
    return isinstance(error.cause, TimeoutError) and error.cause.type is TimeoutType.SCHEDULE_TO_START
