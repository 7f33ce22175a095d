"""Whether experiments are open: asked of Temporal, run by run."""

import asyncio
from collections.abc import Sequence

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from schemas.sweep import RunState

AT_ONCE = 10


class Runs:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def states(self, experiment_ids: Sequence[str]) -> list[RunState]:
        """The state of each experiment's latest run. A run that waits for a worker is open like any other."""
        turnstile = asyncio.Semaphore(AT_ONCE)

        async def one(experiment_id: str) -> RunState:
            async with turnstile:
                return await self._state(experiment_id)

        return list(await asyncio.gather(*map(one, experiment_ids)))

    async def _state(self, experiment_id: str) -> RunState:
        try:
            about = await self._client.get_workflow_handle(experiment_id).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return RunState(experiment_id=experiment_id, state="unknown")
        if about.status is WorkflowExecutionStatus.RUNNING or about.status is None:
            return RunState(experiment_id=experiment_id, state="open")
        return RunState(
            experiment_id=experiment_id,
            state="ended",
            how=about.status.name.lower(),
            ended=about.close_time,
        )
