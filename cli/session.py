"""A command's connection to Temporal, with a server and a worker of its own where there are none."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from schemas.experiment import ExperimentResult, Progress
from services.settings import Settings
from services.temporal.connect import Connection, connection, is_served
from workflows.experiment import StrategyExperiment

_PATIENCE = timedelta(seconds=5)
SHORT_PATIENCE = timedelta(seconds=2)
"""A worker that lives answers in a fraction of it; one too many does no harm."""

Handle = WorkflowHandle[StrategyExperiment, ExperimentResult]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A Ctrl-C that meets a call to the server may come back as that call's failure; it is a Ctrl-C all the same."""
    try:
        yield
    except RPCError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise


class Session:
    def __init__(self, settings: Settings, link: Connection, resources: contextlib.AsyncExitStack) -> None:
        self.settings = settings
        self.link = link
        self._resources = resources
        self.serves = False

    def handle(self, experiment_id: str) -> Handle:
        return self.link.client.get_workflow_handle_for(StrategyExperiment.run, experiment_id)

    async def serve(self) -> None:
        """Become the worker, where this process isn't yet."""
        if not self.serves:
            # loads the strategies' libraries: a second that most commands needn't wait
            from worker import LOG_FORMAT, serving

            # What the worker has to say is for its log; the person's terminal shows the experiment.
            log = self.settings.home / "worker.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            logging.basicConfig(filename=log, level=logging.WARNING, format=LOG_FORMAT)
            await self._resources.enter_async_context(serving(self.link.client, self.settings))
            self.serves = True

    async def serve_if_nobody_does(self, handle: Handle) -> None:
        """Become the worker, unless another answers for this run.

        The server remembers pollers for minutes after their end, so one that it knows is asked.
        """
        known = not self.link.embedded and await is_served(self.link.client, self.settings.queue)
        if not known or await self.progress(handle, SHORT_PATIENCE) is None:
            await self.serve()

    async def progress(self, handle: Handle, patience: timedelta = _PATIENCE) -> Progress | None:
        """Where the experiment is; None where nobody answers for it in time."""
        try:
            with interruptible():
                return await handle.query(StrategyExperiment.progress, rpc_timeout=patience)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise
            return None


@contextlib.asynccontextmanager
async def session(settings: Settings, *, may_embed: bool = True) -> AsyncIterator[Session]:
    async with contextlib.AsyncExitStack() as resources:
        link = await resources.enter_async_context(connection(settings, may_embed=may_embed))
        yield Session(settings, link, resources)
