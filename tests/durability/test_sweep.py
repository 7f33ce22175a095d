"""The sweep: what terminated, killed and failed experiments left is removed; what is open is never touched."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    ScheduleActionExecutionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
)

from schemas.experiment import ApprovalPolicy, ExperimentStatus
from schemas.sandbox import Limits
from schemas.sweep import Orphan, RemoveInput, RunState, SweepReport, SweepRequest
from services.sandboxes import SandboxManager, Slots, default_providers
from services.sandboxes.statefiles import process_start
from services.sweeping import Sweeper
from services.temporal.schedules import keep_schedule
from services.temporal.server import binary
from services.trying import EXPERIMENT, HOST
from tests.support.site import Handle, Site
from worker import sweep_schedule
from workflows.sweep import Sweep

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

MANUAL = ApprovalPolicy.MANUAL


async def sweep(here: Site, name: str = "sweep", grace: float = 0.0) -> SweepReport:
    return await asyncio.wait_for(
        here.client.execute_workflow(
            Sweep.run, SweepRequest(grace=grace), id=f"{here.queue}-{name}", task_queue=here.queue
        ),
        90,
    )


def removed(report: SweepReport) -> set[tuple[str, str]]:
    return {(one.kind, one.experiment_id) for one in report.removed}


def _status(here: Site, name: str) -> ExperimentStatus | None:
    row = here.records.experiment(name)
    return row.status if row else None


async def terminate(here: Site, handle: Handle) -> None:
    """As a person does it, with `temporal workflow terminate`."""
    command = [
        str(binary()),
        *("workflow", "terminate", *here.temporal.options, "--workflow-id", handle.id),
    ]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


async def test_after_terminate_and_only_what_is_not_open(here: Site) -> None:
    """Two are terminated, one waiting and one with its sandbox; two others, in the same states, stay as they are."""
    here.plan("hold:before:try_out@cut-trying", "hold:before:try_out@open-trying")
    await here.serving()
    names = ["cut-waiting", "cut-trying", "open-waiting", "open-trying"]
    handles = {name: await here.start(here.request(name, approval=MANUAL)) for name in names}
    for name in names:
        if name.endswith("waiting"):
            await here.until_status(handles[name], "waiting")
        else:
            await here.held(f"try_out@{name}")
    for name in names[:2]:
        await terminate(here, handles[name])

    early = await sweep(here, "early", grace=300)
    assert early.removed == [], "younger than the grace"

    report = await sweep(here)
    assert removed(report) == {
        ("branch", "cut-waiting"),
        ("record", "cut-waiting"),
        ("branch", "cut-trying"),
        ("sandbox", "cut-trying"),
        ("record", "cut-trying"),
    }
    assert all("terminated" in one.reason for one in report.removed)
    assert report.open_experiments == 2
    assert report.problems == []
    for name in names[:2]:
        row = here.records.experiment(name)
        assert row is not None
        assert (row.status, row.reason) == (ExperimentStatus.FAILED, "terminated")
        assert row.closed is not None
        swept = [
            (row.event, row.actor) for row in here.records.audit(experiment=name) if row.actor == "sweep"
        ]
        end = [("sandbox_cleaned_up", "sweep")] if name == "cut-trying" else []
        assert swept == [("swept", "sweep"), *end]  # the run ended before its sandbox did
    *_, end_of_it = here.records.sandboxes("cut-trying")
    assert (end_of_it.event, end_of_it.reason) == ("cleaned_up", "swept: its run has ended (terminated)")
    assert end_of_it.sandbox_id == "cut-trying.1"
    assert end_of_it.seconds
    assert [row.event for row in here.records.sandboxes("cut-waiting")].count("cleaned_up") == 1
    again = await sweep(here, "again")
    assert again.removed == []
    metadata = await here.client.get_workflow_handle(f"{here.queue}-sweep").query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )
    assert "Removed 5" in metadata.current_details
    assert "branch `ai/generate/RSI_Reversal/cut-waiting`" in metadata.current_details

    for name in names[1::2]:
        here.let_go(f"try_out@{name}")
    await here.until_status(handles["open-trying"], "waiting")
    for name in names[2:]:
        await handles[name].signal("approve")
        assert (await handles[name].result()).status is ExperimentStatus.MERGED
    assert sorted(here.merges()) == ["open-trying", "open-waiting"]
    assert here.left_over() == []
    assert here.records.verify_audit().ok


async def test_after_every_worker_was_killed(here: Site) -> None:
    """The run that is open goes on; the one terminated while nobody served is swept by the next worker."""
    here.plan("hold:before:try_out@gone", "hold:before:try_out@sweep-stays")
    worker = await here.serving()
    gone, stays = await here.start(here.request("gone")), await here.start(here.request("sweep-stays"))
    for name in ("gone", "sweep-stays"):
        await here.held(f"try_out@{name}")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    await terminate(here, gone)
    for name in ("gone", "sweep-stays"):
        here.let_go(f"try_out@{name}")
    await here.serving()
    report = await sweep(here)
    assert removed(report) == {("branch", "gone"), ("sandbox", "gone"), ("record", "gone")}
    assert (await stays.result()).status is ExperimentStatus.MERGED
    assert here.merges() == ["sweep-stays"]
    assert here.left_over() == []


async def test_terminated_in_the_middle_of_its_merge(here: Site) -> None:
    """What is merged is merged, and the record says so."""
    here.plan("hold:after:merge_strategy@merging", "hold:before:merge_strategy@before")
    await here.serving()
    merging, before = await here.start(here.request("merging")), await here.start(here.request("before"))
    await here.held("merge_strategy@merging")
    await here.held("merge_strategy@before")
    for handle in (merging, before):
        await here.until(lambda name=handle.id: _status(here, name) is ExperimentStatus.MERGING, "the record")
        await terminate(here, handle)
    report = await sweep(here)
    assert removed(report) >= {("record", "merging"), ("record", "before")}
    row = here.records.experiment("merging")
    assert row is not None
    assert row.status is ExperimentStatus.MERGED
    assert row.tag == "strategies/RSI_Reversal/v1"
    row = here.records.experiment("before")
    assert row is not None
    assert row.status is ExperimentStatus.FAILED
    assert here.left_over() == []
    for name in ("merging", "before"):
        here.let_go(f"merge_strategy@{name}")


async def test_what_an_undo_could_not_remove(here: Site) -> None:
    await here.serving("fail:before:destroy_sandbox@undo-1", "fail:before:delete_branch@undo-2")
    for name in ("undo-1", "undo-2"):
        assert (await here.run(here.request(name))).status is ExperimentStatus.MERGED
    leases = {one for one in here.left_over() if one.startswith("lease")}
    assert leases == {"lease sandbox undo-1.1", "lease branch ai/generate/RSI_Reversal/undo-2"}
    report = await sweep(here)
    assert removed(report) == {("sandbox", "undo-1"), ("branch", "undo-2")}
    assert {one.reason for one in report.removed} == {"its run has ended (completed)"}
    assert here.left_over() == []


async def test_of_a_run_that_temporal_does_not_know_the_lease_decides(here: Site) -> None:
    """Another Temporal may know it: the library and the records may be shared. An unknown kind is kept and told."""
    records, library, now = here.records, here.library, datetime.now(UTC)
    records.migrate()

    def branch(name: str) -> str:
        made = f"ai/generate/RSI_Reversal/{name}"
        trailers = {"Experiment-Id": name}
        library.commit_files(branch=made, files={"a.txt": name}, message="a", trailers=trailers, key=name)
        return made

    records.open_lease("branch", branch("leased"), "leased", "h-1", now + timedelta(hours=1))
    records.open_lease("branch", branch("expired"), "expired", "h-1", now - timedelta(seconds=1))
    branch("foreign")
    records.open_lease("workspace", "w1", "expired", "h-1", now - timedelta(seconds=1))
    records.open_lease("sandbox", "expired.1", "expired", "h-1", now - timedelta(seconds=1))
    await here.serving()
    report = await sweep(here)
    assert removed(report) == {("branch", "expired"), ("sandbox", "expired")}
    assert {(one.kind, one.experiment_id) for one in report.kept} == {
        ("branch", "leased"),
        ("branch", "foreign"),
        ("workspace", "expired"),
    }
    assert report.silent_hosts == ["h-1"]
    reasons = {one.experiment_id: one.reason for one in report.kept}
    assert "until its lease ends" in reasons["leased"]
    assert "another Genesis" in reasons["foreign"]
    assert "nothing here can remove a workspace" in reasons["expired"]
    assert sorted(one.experiment_id for one in library.branches()) == ["foreign", "leased"]


async def test_every_step_of_the_sweep_twice(here: Site) -> None:
    """A repeated step changes nothing; what it removed the first time is told once."""
    here.plan("hold:before:try_out@twice-cut")
    worker = await here.serving()
    handle = await here.start(here.request("twice-cut"))
    await here.held("try_out@twice-cut")
    await terminate(here, handle)
    here.plan("kill:after:remove_orphans")
    started = asyncio.create_task(sweep(here))
    await asyncio.to_thread(worker.wait, 60)
    assert worker.returncode == -signal.SIGKILL
    await here.serving()
    report = await started
    assert here.left_over() == []
    assert ("sandbox", "twice-cut") in removed(report)
    swept = [row.event for row in here.records.audit(experiment="twice-cut")].count("swept")
    assert swept == 1


async def test_the_schedule_is_made_once_and_changed_where_it_differs(here: Site) -> None:
    await here.serving()
    name = f"{here.queue}-sweep"
    about = await here.client.get_schedule_handle(name).describe()
    assert about.schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    wanted = sweep_schedule(here.queue)
    assert await keep_schedule(here.client, name, wanted) == "unchanged"
    wanted.spec.intervals = [ScheduleIntervalSpec(every=timedelta(minutes=7))]
    await here.client.get_schedule_handle(name).pause(note="by a person")
    assert await keep_schedule(here.client, name, wanted) == "updated"
    assert await keep_schedule(here.client, name, wanted) == "unchanged"
    about = await here.client.get_schedule_handle(name).describe()
    assert about.schedule.state.paused
    await here.client.get_schedule_handle(name).trigger()
    async with asyncio.timeout(60):
        while not (runs := (await here.client.get_schedule_handle(name).describe()).info.recent_actions):
            await asyncio.sleep(0.1)
    run = runs[0].action
    assert isinstance(run, ScheduleActionExecutionStartWorkflow)
    result = await here.client.get_workflow_handle_for(Sweep.run, run.workflow_id).result()
    assert result.problems == []


def test_what_a_machine_left_that_was_started_anew(tmp_path: Path) -> None:
    """Files of processes of another boot whose numbers are in use again: they go, and nobody is killed for them."""
    home = tmp_path / "sandboxes"
    (home / "leases").mkdir(parents=True)
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        start = str(process_start(bystander.pid)).partition("@")[0] + "@another-boot"
        owner = f"{socket.gethostname()}:{bystander.pid}:{start}"
        labels = {"genesis.experiment": "old", "genesis.owner": owner}
        lease = {"lease": "old.1", "labels": labels}
        (home / "leases" / "stock-1.json").write_text(json.dumps(lease))
        info = {"sandbox_id": "stock-1", "provider": "bubblewrap", "labels": labels, "created": 1.0}
        record = {
            "info": info,
            "owner": bystander.pid,
            "owner_start": start,
            "pid": bystander.pid,
            "start": start,
        }
        (home / "stock-1.json").write_text(json.dumps(record))
        providers = default_providers(home, order=["bubblewrap"], image="")
        with SandboxManager(providers, home / "leases", ready=0) as manager:
            assert manager.release("old.1") is None
            assert manager.cleanup() == []
            assert manager.list() == []
        assert [*home.rglob("*.json")] == []
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_stock_of_a_worker_that_lives_is_left_alone(here: Site) -> None:
    """Also a lease of an experiment that is open; what was leased to one that ended goes, with its slot."""
    records, home = here.records, here.home / "sandboxes"
    records.migrate()
    providers = default_providers(home, order=["bubblewrap"], image="")
    with SandboxManager(providers, home / "leases", ready=1, slots=Slots(home / "slots", 2)) as manager:
        manager.start()
        manager.lease("done.1", limits=Limits(memory_mb=128), labels={EXPERIMENT: "done", HOST: "h-1"})
        deadline = time.monotonic() + 30
        while not manager.stock:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert manager.room() == 1
        sweeper = Sweeper(records, here.library, manager, "h-1")
        (holding,) = sweeper.look_at_host(SweepRequest(grace=0)).found
        assert (holding.name, holding.experiment_id, holding.host) == ("done.1", "done", "h-1")
        run = RunState(experiment_id="done", state="ended", how="terminated")
        order = RemoveInput(orphans=[Orphan(holding=holding, reason="it ended", run=run)])
        assert [one.name for one in sweeper.remove_from_host(order).removed] == ["done.1"]
        assert sweeper.remove_from_host(order).removed == []
        assert len(manager.stock) == 1
        assert manager.room() == 2
        assert sweeper.look_at_host(SweepRequest(grace=0)).found == []
