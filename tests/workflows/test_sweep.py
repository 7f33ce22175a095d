"""The sweep on a stage: a worker that lives and fails keeps nobody from being looked at, and is told."""

from datetime import UTC, datetime

import pytest
from temporalio.exceptions import ApplicationError

from schemas.sweep import Holding, Holdings, Removals, RunState, RunStates, SweepReport, SweepRequest, Swept
from tests.support.temporal import Place
from tests.workflows.stage import Order, Play, Stage
from workflows.sweep import Sweep

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]

BRANCH = Holding(kind="branch", name="b", experiment_id="gone")
SANDBOX = Holding(kind="sandbox", name="gone.1", experiment_id="gone", host="ill")


def broken(order: Order) -> None:
    raise ApplicationError("no bubblewrap here", non_retryable=True)


def removed(order: Order) -> Removals:
    return Removals(
        removed=[
            Swept(kind=one["holding"]["kind"], name=one["holding"]["name"], experiment_id="gone", reason="r")
            for one in order["orphans"]
        ]
    )


async def sweep(temporal: Place, **plays: Play) -> SweepReport:
    stage = Stage(await temporal.client())
    plays = {
        "list_holdings": lambda order: Holdings(
            found=[BRANCH, SANDBOX], hosts=["ill"], problems=["the library was not looked at"]
        ),
        "list_sandboxes": lambda order: Holdings(found=[]),
        "describe_runs": lambda order: RunStates(
            runs=[RunState(experiment_id="gone", state="ended", how="failed", ended=datetime.now(UTC))]
        ),
        "remove_sandboxes": removed,
        "remove_orphans": removed,
        **plays,
    }
    # the steps of a worker's own queue, taken up by the same stage
    host = Stage(stage.client)
    host.queue = f"{stage.queue}@ill"
    async with stage.playing(**plays), host.playing(**plays):
        return await stage.client.execute_workflow(
            Sweep.run, SweepRequest(grace=0), id=f"sweep-{stage.queue}", task_queue=stage.queue
        )


async def test_a_worker_that_can_t_be_looked_at_is_told_and_not_taken_for_gone(temporal: Place) -> None:
    report = await sweep(temporal, list_sandboxes=broken)
    assert report.problems == ["the library was not looked at", "ill was not looked at: no bubblewrap here"]
    assert report.silent_hosts == []
    assert {one.name for one in report.removed} == {"b", "gone.1"}, "its own sandbox it could remove"


async def test_what_a_worker_finds_wrong_is_told(temporal: Place) -> None:
    report = await sweep(
        temporal, list_sandboxes=lambda order: Holdings(found=[], problems=["docker is down"])
    )
    assert "docker is down" in report.problems


async def test_a_worker_that_can_t_remove_keeps_nothing_else_from_going(temporal: Place) -> None:
    report = await sweep(temporal, remove_sandboxes=broken)
    assert [one.name for one in report.removed] == ["b"]
    assert report.silent_hosts == []
    assert report.problems[-1] == "the sandboxes of ill were not removed: no bubblewrap here"
