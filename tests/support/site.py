"""A site: one home with its own task queue, real worker processes, and a look at what is left afterwards."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import git
from temporalio.client import Client, WorkflowHandle

from domain.holdout import held_back
from schemas.experiment import ApprovalPolicy, ExperimentRequest, ExperimentResult
from schemas.holdout import Holdout
from services.artifacts import Artifacts
from services.definitions import load_definition
from services.library import Library
from services.market_data import MarketData
from services.records import Records
from services.settings import Settings
from tests.support.faults import planned
from tests.support.forking import ForkedWorker
from tests.support.temporal import Place
from workflows.experiment import StrategyExperiment

ROOT = Path(__file__).parents[2]
WorkerProcess = ForkedWorker | subprocess.Popen[bytes]
Handle = WorkflowHandle[StrategyExperiment, ExperimentResult]


class Site:
    def __init__(self, home: Path, temporal: Place, client: Client) -> None:
        self.home = home
        self.temporal = temporal
        self.client = client
        self.queue = f"test-{home.name}"
        self.settings = Settings(home=home, task_queue=self.queue)
        self.processes: list[WorkerProcess] = []
        self.forks = True
        """Whether workers are forked; else each is a Python of its own, with its own arguments and environment."""

    # -- workers

    def start_worker(self, *plan: str, **environment: str) -> WorkerProcess:
        env = os.environ | {
            **self.temporal.environment,
            "GENESIS_HOME": str(self.home),
            "GENESIS_TASK_QUEUE": self.queue,
            "GENESIS_HOST": f"host-{self.home.name}",
            "GENESIS_SANDBOXES_READY": "0",
            "GENESIS_MEMORY": "false",  # its model takes seconds and half a gigabyte: where it is asked for
            **environment,
        }
        (self.home / "serving").unlink(missing_ok=True)
        process: WorkerProcess
        if self.forks:
            process = ForkedWorker(plan, env, ROOT, self.home / "worker.log")
        else:
            with (self.home / "worker.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.worker", *plan],
                    cwd=ROOT,
                    env=env,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        self.processes.append(process)
        return process

    async def serving(self, *plan: str, **environment: str) -> WorkerProcess:
        process = self.start_worker(*plan, **environment)
        await self.until((self.home / "serving").exists, "the worker to serve")
        return process

    @contextlib.asynccontextmanager
    async def worker_that_is_replaced(self, *plan: str, **environment: str) -> AsyncIterator[list[int]]:
        """A worker; whenever it dies of a SIGKILL, the next takes its place. Yields the deaths so far."""
        deaths: list[int] = []

        async def supervise() -> None:
            while True:
                process = self.start_worker(*plan, **environment)
                while process.poll() is None:
                    await asyncio.sleep(0.05)
                if process.returncode != -signal.SIGKILL:
                    raise AssertionError(f"the worker ended with {process.returncode}: {self.log()}")
                deaths.append(process.pid)

        supervisor = asyncio.create_task(supervise())
        try:
            yield deaths
        finally:
            supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor
            self.end_workers()

    def end_workers(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def log(self) -> str:
        return (self.home / "worker.log").read_text(errors="replace")[-3000:]

    # -- faults

    def plan(self, *faults: str) -> None:
        """Plan faults for the worker that runs (see tests.support.faults)."""
        folder = self.home / "faults"
        folder.mkdir(parents=True, exist_ok=True)
        for fault in faults:
            planned(folder, fault).touch()

    async def held(self, key: str) -> None:
        await self.until((self.home / "faults" / f"held-{key}").exists, f"{key} to be held")

    def let_go(self, key: str) -> None:
        (self.home / "faults" / f"go-{key}").touch()

    # -- experiments

    def request(
        self, experiment_id: str, strategy: str = "RSI_Reversal", holdout: float = 0.0, **more: Any
    ) -> ExperimentRequest:
        """`holdout` is the share of the bars that is sealed."""
        definition = load_definition(strategy, root=ROOT / "strategies").definition
        market = MarketData(Artifacts(self.home / "artifacts"))
        whole = market.load(definition.symbol)
        held = held_back(whole.bars, holdout)
        data = market.hold_back(whole, held) if held else whole
        fields: dict[str, Any] = {
            "approval": ApprovalPolicy.AUTO,
            "timeout": timedelta(minutes=10),
            "sandbox": "bubblewrap",
            "requested_by": "tester",
            "holdout": Holdout(whole=whole, bars=held) if held else None,
        }
        return ExperimentRequest(
            experiment_id=experiment_id,
            definition=definition,
            data=data,
            **(fields | more),
        )

    async def start(self, request: ExperimentRequest) -> Handle:
        return await self.client.start_workflow(
            StrategyExperiment.run, request, id=request.experiment_id, task_queue=self.queue
        )

    async def run(self, request: ExperimentRequest, seconds: float = 120) -> ExperimentResult:
        handle = await self.start(request)
        return await asyncio.wait_for(handle.result(), seconds)

    # -- looking

    async def until(self, reached: Callable[[], Any], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s for {what}: {self.log()}")
            await asyncio.sleep(0.05)

    async def until_status(self, handle: Handle, status: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while (await handle.query(StrategyExperiment.progress)).status != status:
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s for {status}: {self.log()}")
            await asyncio.sleep(0.2)

    @property
    def records(self) -> Records:
        return Records(self.settings.records_url)

    @property
    def library(self) -> Library:
        return Library(self.settings.library_location)

    def merges(self, *names: str) -> list[str]:
        """Which of the named experiments are merged onto main (all where none is named), oldest first.

        Fails where the history isn't linear.
        """
        repository = git.Repo(self.settings.library_location)
        commits = list(repository.iter_commits("main"))
        assert all(len(commit.parents) <= 1 for commit in commits), "main has a merge commit"
        found = [
            line.removeprefix("Experiment-Id: ")
            for commit in reversed(commits)
            for line in str(commit.message).splitlines()
            if line.startswith("Experiment-Id: ")
        ]
        return [name for name in found if not names or name in names]

    def left_over(self) -> list[str]:
        """What is still there of experiments: branches, leases, sandboxes, and what tells of a sandbox, which goes
        with its control group and workspace."""
        found = [f"branch {branch.name}" for branch in self.library.branches()]
        found += [f"lease {lease.kind} {lease.name}" for lease in self.records.leases(open_only=True)]
        found += [f"process {line}" for line in _processes_of(self.home)]
        found += [f"sandbox of {path}" for path in self.home.glob("sandboxes/**/*.json")]
        return found


def _processes_of(home: Path) -> list[str]:
    """Sandboxes that run for this home, as the process table shows them."""
    listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if "bwrap" in line and str(home) in line]


async def site(home: Path, temporal: Place) -> Site:
    home.mkdir(parents=True, exist_ok=True)
    return Site(home, temporal, await temporal.client())
