"""Two hosts: a step goes to the one that holds its sandbox; when that is lost, the step is redone on the other."""

import asyncio
import os
import signal

import pytest

from schemas.experiment import ExperimentStatus
from schemas.sweep import SweepRequest
from tests.support.site import Site
from workflows.experiment import StrategyExperiment
from workflows.sweep import Sweep

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


async def test_a_host_is_lost_for_good_while_it_holds_the_sandbox(here: Site) -> None:
    here.plan("hold:before:try_out@moves")
    worker = await here.serving("hasty", GENESIS_HOST="alpha")
    handle = await here.start(here.request("moves"))
    await here.held("try_out@moves")
    (lease,) = [one for one in here.records.leases() if one.kind == "sandbox"]
    assert (lease.name, lease.host) == ("moves.1", "alpha-1")

    await here.serving("hasty", GENESIS_HOST="beta")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    result = await asyncio.wait_for(handle.result(), 120)
    assert result.status is ExperimentStatus.MERGED
    assert here.merges() == ["moves"]
    progress = await handle.query(StrategyExperiment.progress)
    assert any("moves.1 was lost" in notice for notice in progress.notices), progress.notices
    made = [row.sandbox_id for row in here.records.sandboxes("moves") if row.event == "created"]
    assert made == ["moves.1", "moves.2"]

    # beta can't know what became of alpha's: its lease stays, for the sweep
    assert here.left_over() == ["lease sandbox moves.1"]
    report = await here.client.execute_workflow(
        Sweep.run, SweepRequest(grace=0), id=f"{here.queue}-sweep", task_queue=here.queue
    )
    assert [(one.kind, one.name, one.host) for one in report.removed] == [("sandbox", "moves.1", "alpha-1")]
    assert "alpha-1 doesn't answer" in report.removed[0].reason
    assert (report.hosts, report.silent_hosts) == (["beta-1"], ["alpha-1"])
    assert here.left_over() == []


async def test_each_host_sweeps_its_own_sandboxes(here: Site) -> None:
    """Two terminated experiments, one sandbox on each host: each goes through the worker that holds it."""
    here.plan("hold:before:try_out@on-alpha", "hold:before:try_out@on-beta")
    alpha = await here.serving(GENESIS_HOST="alpha", GENESIS_MAX_SANDBOXES="1")
    first = await here.start(here.request("on-alpha"))
    await here.held("try_out@on-alpha")
    # alpha is full: the other's lease is granted by beta, whoever is asked first
    await here.serving(GENESIS_HOST="beta", GENESIS_MAX_SANDBOXES="1")
    second = await here.start(here.request("on-beta"))
    await here.held("try_out@on-beta")
    hosts = {one.name: one.host for one in here.records.leases() if one.kind == "sandbox"}
    assert hosts == {"on-alpha.1": "alpha-1", "on-beta.1": "beta-1"}
    for handle in (first, second):
        await handle.terminate()
    report = await here.client.execute_workflow(
        Sweep.run, SweepRequest(grace=0), id=f"{here.queue}-sweep", task_queue=here.queue
    )
    swept = {(one.name, one.host) for one in report.removed if one.kind == "sandbox"}
    assert swept == {("on-alpha.1", "alpha-1"), ("on-beta.1", "beta-1")}
    assert report.hosts == ["alpha-1", "beta-1"]
    for name in ("on-alpha", "on-beta"):
        here.let_go(f"try_out@{name}")
    assert alpha.poll() is None
    assert (await here.run(here.request("after"))).status is ExperimentStatus.MERGED, "both have room again"
    assert here.left_over() == []
