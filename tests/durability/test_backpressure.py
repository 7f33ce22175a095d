"""A burst of experiments: no more sandboxes than the host may have, a line that is told, and all of them merge."""

import asyncio
import subprocess
from collections import defaultdict
from collections.abc import Callable

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata

from schemas.experiment import ExperimentStatus, Progress
from services.line import TURN
from tests.support.site import Handle, Site, WorkerProcess
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def sandboxes_of(worker: WorkerProcess) -> int:
    """How many bubblewraps the worker has started that live, as the process table shows them."""
    command = ["ps", "--ppid", str(worker.pid), "-o", "args="]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return sum("bwrap" in line.split(" ")[0] for line in lines)


async def progress_until(
    handle: Handle, reached: Callable[[Progress], bool], seconds: float = 60
) -> Progress:
    async with asyncio.timeout(seconds):
        while not reached(progress := await handle.query(StrategyExperiment.progress)):
            await asyncio.sleep(0.2)
    return progress


async def test_eight_at_once_with_room_for_two(here: Site) -> None:
    worker = await here.serving(GENESIS_MAX_SANDBOXES="2")
    counts: list[int] = []
    told: dict[str, set[str]] = defaultdict(set)

    async def watch(handles: list[Handle]) -> None:
        while True:
            counts.append(await asyncio.to_thread(sandboxes_of, worker))
            if len(counts) % 5 == 1:
                for handle in handles:
                    if place := (await handle.query(StrategyExperiment.progress)).in_line:
                        told[handle.id].add(place.split(" ")[0])
            await asyncio.sleep(0.2)

    names = [f"burst-{number:02}" for number in range(8)]
    handles = list(await asyncio.gather(*(here.start(here.request(name)) for name in names)))
    watcher = asyncio.create_task(watch(handles))
    results = await asyncio.gather(*(handle.result() for handle in handles))
    watcher.cancel()
    assert {result.status for result in results} == {ExperimentStatus.MERGED}
    assert sorted(here.merges()) == names
    assert max(counts) == 2, "never more than two, and both in use"
    assert here.left_over() == []
    assert max(map(len, told.values())) > 1, f"the place moved while it was told: {told}"
    queued = here.records.audit(event="queued")
    assert len(queued) > 2
    assert {row.data["most"] for row in queued} == {2}


async def test_who_came_first_is_first_also_after_the_worker_was_killed(here: Site) -> None:
    """One place, held; three wait in line behind it. The worker dies: the line is as it was, and goes on."""
    here.plan("hold:before:try_out@line-first")
    worker = await here.serving(GENESIS_MAX_SANDBOXES="1")
    first = await here.start(here.request("line-first"))
    await here.held("try_out@line-first")
    waiting = []
    for number, name in enumerate(["line-second", "line-third", "line-fourth"], start=1):
        handle = await here.start(here.request(name))
        progress = await progress_until(handle, lambda seen: seen.in_line is not None)
        assert progress.in_line is not None
        assert progress.in_line.startswith(["1st", "2nd", "3rd"][number - 1] + " in line")
        waiting.append(handle)
    metadata = await waiting[0].query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert "Waiting for a sandbox: 1st in line" in metadata.current_details
    turns = {turn.name: turn.created for turn in here.records.leases(kind=TURN)}
    assert sorted(turns, key=lambda name: turns[name]) == ["line-second.1", "line-third.1", "line-fourth.1"]

    worker.kill()
    worker.wait()
    here.let_go("try_out@line-first")
    await here.serving(GENESIS_MAX_SANDBOXES="1")
    results = await asyncio.gather(*(handle.result() for handle in (first, *waiting)))
    assert {result.status for result in results} == {ExperimentStatus.MERGED}
    order = [name for name in here.merges() if name != "line-first"]
    assert order == ["line-second", "line-third", "line-fourth"]
    assert here.left_over() == []


async def test_a_place_in_line_is_given_up_with_a_cancel(here: Site) -> None:
    here.plan("hold:before:try_out@holds")
    await here.serving(GENESIS_MAX_SANDBOXES="1")
    holds = await here.start(here.request("holds"))
    await here.held("try_out@holds")
    leaves = await here.start(here.request("leaves"))
    await progress_until(leaves, lambda seen: seen.in_line is not None)
    stays = await here.start(here.request("stays"))
    await progress_until(stays, lambda seen: (seen.in_line or "").startswith("2nd"))
    await leaves.signal(StrategyExperiment.cancel)
    assert (await leaves.result()).status is ExperimentStatus.CANCELLED
    await progress_until(stays, lambda seen: (seen.in_line or "").startswith("1st"))
    here.let_go("try_out@holds")
    assert (await holds.result()).status is ExperimentStatus.MERGED
    assert (await stays.result()).status is ExperimentStatus.MERGED
    assert here.left_over() == []
