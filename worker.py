"""Serve experiments: the one place where settings become services, services activities, and activities a worker."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated

import typer
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Interceptor, Worker, WorkerDeploymentConfig

from activities.accounting import Accounting
from activities.authoring import Authoring
from activities.guarding import Guarding
from activities.merging import Merging
from activities.recording import Recording
from activities.remembering import Remembering
from activities.sweeping import Sweeping
from activities.trying import Trying
from activities.weighing import Weighing
from cli.errors import exit_of, in_words
from cli.output import told
from schemas.sweep import SweepRequest
from services.artifacts import Artifacts
from services.authoring import Author
from services.budget import Budgets
from services.calls import Calls
from services.engines import Engine, Engines, ModelOptions, OfflineEngine, keys_of, model_makers
from services.hosts import host_slot
from services.library import Library
from services.market_data import MarketData
from services.memory import Memory
from services.memory.experience import Experience
from services.merging import Merger
from services.metrics import metrics_served
from services.records import Records
from services.reporting import Reporter
from services.sandboxes import SandboxManager, Slots, default_providers
from services.secrets.guard import Guard
from services.secrets.opening import open_store
from services.settings import Settings
from services.sweeping import Sweeper
from services.temporal.build import build_id
from services.temporal.connect import connection, telling_of_a_server_that_went
from services.temporal.histories import Histories
from services.temporal.runs import Runs
from services.temporal.schedules import keep_schedule
from services.trying import TryOuts
from services.weighing import Weigher
from workflows import timing
from workflows.bench import line_queue
from workflows.candidate import Candidate
from workflows.experiment import StrategyExperiment
from workflows.sweep import Sweep

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

GRACE = timedelta(seconds=20)
"""How long running steps may take to end when the worker is asked to."""

BEAT = timedelta(seconds=2)
"""How often a step's beats reach the server. By itself the SDK holds them back for four fifths of the time after which
the step is taken for dead: on a loaded machine the rest isn't always enough."""

STICKY = timedelta(seconds=5)
"""How long a run waits for the worker that has it in its cache, which may be dead, before any other takes it up."""


@contextlib.asynccontextmanager
async def serving(
    client: Client,
    settings: Settings,
    *,
    engines: Sequence[Engine] = (),
    interceptors: Sequence[Interceptor] = (),
    max_cached_workflows: int = 1000,
) -> AsyncIterator[str]:
    """Serve `settings.queue` and this host's own queue for as long as it is held; yields the host's name.

    `engines` are offered beside the shipped ones. On the way out running steps get GRACE to end.
    """
    with telling_of_a_server_that_went(client), contextlib.ExitStack() as resources:
        host = resources.enter_context(host_slot(settings.home / "hosts", settings.host))
        host_queue = f"{settings.queue}@{host}"
        artifacts = Artifacts(settings.home / "artifacts")
        artifacts.clean()  # what killed processes left half written
        records = Records(settings.records_url)
        records.migrate()
        library = Library(settings.library_location, mirror=settings.home / "library-mirror.git")
        market = MarketData(artifacts)
        sandboxes = resources.enter_context(
            SandboxManager(
                default_providers(
                    settings.home / "sandboxes",
                    order=settings.sandbox_providers,
                    image=settings.sandbox_image,
                    runtime=settings.sandbox_runtime,
                ),
                settings.home / "sandboxes" / "leases",
                ready=settings.sandboxes_ready,
                slots=Slots(settings.home / "sandboxes" / "slots" / settings.host, settings.max_sandboxes),
            )
        )
        sandboxes.cleanup()  # what a killed worker of this host left
        sandboxes.start()
        options = ModelOptions(
            url=settings.model_url,
            timeout=settings.model_timeout,
            max_tokens=settings.model_max_tokens,
            output=settings.model_output,
        )
        guard = resources.enter_context(
            Guard(
                open_store(settings),
                records,
                host,
                sandbox=settings.sandbox_secrets,
                keys_of=lambda engine: keys_of(engine, options),
            )
        )
        budgets = Budgets(settings.records_url, settings.budget_day)
        if settings.metrics:
            resources.enter_context(metrics_served(settings.metrics, records, budgets))
        memory = resources.enter_context(Memory.of(settings))
        author = Author(
            Engines(
                [OfflineEngine(), *engines],
                model_makers(options, Calls(artifacts), guard.key),
            ),
            library,
            artifacts,
            records,
            host,
            purse_of=budgets.purse,
            acting=guard.acting,
        )
        try_outs = TryOuts(sandboxes, library, market, artifacts, records, host, host_queue, guard)
        reporter = Reporter(artifacts, library, market, budgets, settings.home / "reports")
        histories = Histories(client, artifacts, settings.home / "histories")

        authoring, trying = Authoring(author), Trying(try_outs)
        merging, recording = Merging(Merger(library)), Recording(records, reporter, histories)
        weighing = Weighing(Weigher(artifacts, market, records))
        remembering = Remembering(Experience(memory, library, artifacts, settings.memory_lessons))
        guarding, accounting = Guarding(guard), Accounting(budgets)
        sweeping = Sweeping(
            Sweeper(records, library, sandboxes, host, guard=guard, budgets=budgets), Runs(client)
        )
        threads = resources.enter_context(ThreadPoolExecutor(3 * settings.max_activities, "step"))
        worker = functools.partial(
            Worker,
            client,
            activity_executor=threads,
            max_concurrent_activities=settings.max_activities,
            interceptors=interceptors,
            graceful_shutdown_timeout=GRACE,
            max_heartbeat_throttle_interval=BEAT,
            deployment_config=WorkerDeploymentConfig(
                version=WorkerDeploymentVersion(deployment_name="genesis", build_id=build_id()),
                use_worker_versioning=False,
            ),
        )
        here = worker(
            task_queue=host_queue,
            activities=[
                trying.try_out,
                trying.open_holdout,
                trying.destroy_sandbox,
                sweeping.list_sandboxes,
                sweeping.remove_sandboxes,
            ],
        )
        line = worker(
            task_queue=line_queue(settings.queue),
            activities=[trying.lease_sandbox],
            max_concurrent_activity_task_polls=1,
        )
        anywhere = worker(
            task_queue=settings.queue,
            workflows=[StrategyExperiment, Candidate, Sweep],
            activities=[
                authoring.generate_code,
                authoring.adopt_code,
                authoring.fix_code,
                authoring.validate_code,
                authoring.delete_branch,
                trying.lease_sandbox,
                trying.destroy_sandbox,
                weighing.weigh_result,
                remembering.recall_lessons,
                remembering.learn_lessons,
                guarding.issue_token,
                guarding.revoke_tokens,
                accounting.release_budget,
                merging.merge_strategy,
                recording.record_events,
                recording.write_report,
                recording.export_history,
                sweeping.list_holdings,
                sweeping.describe_runs,
                sweeping.remove_orphans,
            ],
            max_cached_workflows=max_cached_workflows,
            sticky_queue_schedule_to_start_timeout=STICKY,
        )
        async with here, line, anywhere:
            await _schedule_sweep(client, settings.queue)
            yield host


async def _schedule_sweep(client: Client, queue: str) -> None:
    """See that what experiments leave behind is swept; a server that can't do so is no reason not to serve."""
    try:
        await keep_schedule(client, f"{queue}-sweep", sweep_schedule(queue))
    except RPCError as error:
        logging.getLogger(__name__).warning("sweeps are not scheduled (%s); run: starter.py sweep", error)


def sweep_schedule(queue: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Sweep.run, SweepRequest(), id=f"{queue}-sweep", task_queue=queue, static_summary="scheduled"
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timing.SWEEP_EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timing.SWEEP_CATCH_UP),
    )


async def _serve(dev: bool) -> None:
    settings = Settings()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with connection(settings, may_embed=dev) as link, serving(link.client, settings) as host:
        print(f"worker {host} serves {settings.queue} on {link.address}", file=sys.stderr)
        print(f"Web UI: {link.ui}", file=sys.stderr, flush=True)
        await stop.wait()
        print("ending: running steps may finish", file=sys.stderr, flush=True)


def main(
    dev: Annotated[
        bool,
        typer.Option(
            "--dev", help="Bring the embedded Temporal server and its Web UI up, where none answers."
        ),
    ] = False,
) -> None:
    """Serve experiments until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    code = 0
    try:
        asyncio.run(_serve(dev))
    except Exception as error:
        expected = exit_of(error)
        if expected is None:
            raise
        code = told(in_words(error), expected)
    # Not by the interpreter's teardown: the Temporal SDK's threads may be on their way back into it, and the process
    # would end by SIGABRT. All that must be closed is closed by now.
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)  # those show local variables
    app.command()(main)
    app()
