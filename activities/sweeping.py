"""What experiments left behind is found and removed."""

from typing import TYPE_CHECKING

from temporalio import activity

from schemas.sweep import Holdings, Removals, RemoveInput, RunsInput, RunStates, SweepRequest

if TYPE_CHECKING:
    from services.sweeping import Sweeper
    from services.temporal.runs import Runs


class Sweeping:
    def __init__(self, sweeper: "Sweeper", runs: "Runs") -> None:
        self._sweeper = sweeper
        self._runs = runs

    @activity.defn(no_thread_cancel_exception=True)
    def list_holdings(self, request: SweepRequest) -> Holdings:
        return self._sweeper.look(request)

    @activity.defn(no_thread_cancel_exception=True)
    def list_sandboxes(self, request: SweepRequest) -> Holdings:
        return self._sweeper.look_at_host(request)

    @activity.defn
    async def describe_runs(self, order: RunsInput) -> RunStates:
        return RunStates(runs=await self._runs.states(order.experiment_ids))

    @activity.defn(no_thread_cancel_exception=True)
    def remove_sandboxes(self, order: RemoveInput) -> Removals:
        return self._sweeper.remove_from_host(order)

    @activity.defn(no_thread_cancel_exception=True)
    def remove_orphans(self, order: RemoveInput) -> Removals:
        return self._sweeper.remove(order)
