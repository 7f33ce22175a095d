"""Several candidates side by side: the best verified one is merged, every try is on record, and nothing is left."""

import asyncio
import json
import os
import signal
from typing import Any

import git
import pytest
from temporalio.client import WorkflowFailureError

from schemas.experiment import ApprovalPolicy, Decision, DecisionAction, ExperimentStatus
from tests.support.scripts import invalid_code, right_code, wrong_code
from tests.support.site import Site
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

RIGHT = right_code()[0]


def scripts(**candidates: list[str]) -> str:
    """A script for each candidate, by its number: `_1=[…]`."""
    answers = {number.removeprefix("_"): codes for number, codes in candidates.items()}
    return json.dumps({"entrypoint": right_code()[1], "answers": [invalid_code()], "candidates": answers})


def judged(here: Site, experiment: str) -> list[dict[str, Any]]:
    return [row.data for row in here.records.audit(experiment=experiment, event="gates_judged", limit=100)]


async def test_the_best_verified_one_is_merged_and_every_try_is_on_record(here: Site) -> None:
    (here.home / "script.json").write_text(
        scripts(_1=[invalid_code()], _2=[wrong_code(), RIGHT], _3=[wrong_code()])
    )
    await here.serving()
    result = await here.run(here.request("contest", engine="scripted", candidates=3, max_fixes=1))
    assert result.status is ExperimentStatus.MERGED, result.reason
    assert here.merges() == ["contest"]
    assert here.left_over() == []
    tries = judged(here, "contest")
    assert sorted((one["candidate"], one["gates"]["conforms"]) for one in tries) == [
        (1, "not_run"),
        (2, "failed"),
        (2, "passed"),
        (3, "failed"),
    ]
    assert sorted(one["attempt"] for one in tries) == [1, 2, 3, 4]
    (chosen,) = here.records.audit(experiment="contest", event="candidate_chosen")
    (passed,) = [one for one in tries if one["gates"]["conforms"] == "passed"]
    assert (chosen.data["candidate"], chosen.data["commit"]) == (2, passed["commit"])
    row = here.records.experiment("contest")
    assert row is not None
    assert (row.judged_commit, row.attempts) == (passed["commit"], 4)
    assert row.metrics["trades"] == result.metrics.trades if result.metrics else None
    assert result.evidence is not None
    assert result.evidence.tries == 4
    assert len({entry.sandbox_id for entry in here.records.sandboxes("contest")}) >= 2


async def test_engines_named_side_by_side(here: Site) -> None:
    (here.home / "script.json").write_text(scripts(_2=[wrong_code()]))
    await here.serving()
    result = await here.run(
        here.request("both", engine="offline", engines=["offline", "scripted"], max_fixes=0)
    )
    assert result.status is ExperimentStatus.MERGED
    (chosen,) = here.records.audit(experiment="both", event="candidate_chosen")
    assert chosen.data["engine"] == "offline"
    row = here.records.experiment("both")
    assert row is not None
    assert row.engine == "offline, scripted"
    assert "Engine: offline" in str(git.Repo(here.settings.library_location).commit("main").message)
    assert here.left_over() == []


async def test_none_passes_and_none_is_judged(here: Site) -> None:
    (here.home / "script.json").write_text(scripts(_1=[wrong_code()], _2=[invalid_code()]))
    await here.serving("fail:before:generate_code@unjudged-c1", "fail:before:generate_code@unjudged-c2")
    failed = await here.start(here.request("none-passes", engine="scripted", candidates=2, max_fixes=0))
    unjudged = await here.start(here.request("unjudged", engine="scripted", candidates=2))
    result = await failed.result()
    assert result.status is ExperimentStatus.ROLLED_BACK
    assert "conforms failed" in result.reason, "the one that came furthest speaks for them"
    with pytest.raises(WorkflowFailureError) as told:
        await unjudged.result()
    assert "candidate 2 (scripted): Injected: injected: generate_code fails" in str(told.value.cause)
    assert here.merges() == []
    assert here.left_over() == []


async def test_a_cancel_reaches_every_candidate(here: Site) -> None:
    (here.home / "script.json").write_text(scripts(_1=[RIGHT], _2=[RIGHT]))
    await here.serving("hold:before:try_out@stopped-c1", "hold:after:try_out@stopped-c2")
    handle = await here.start(here.request("stopped", engine="scripted", candidates=2))
    await here.held("try_out@stopped-c1")
    await here.held("try_out@stopped-c2")
    await handle.execute_update(
        StrategyExperiment.decide, Decision(action=DecisionAction.CANCEL, by="tester", comment="enough")
    )
    here.let_go("try_out@stopped-c1")
    here.let_go("try_out@stopped-c2")
    assert (await asyncio.wait_for(handle.result(), 120)).status is ExperimentStatus.CANCELLED
    assert here.merges() == []
    assert here.left_over() == []


async def test_killed_in_the_middle(here: Site) -> None:
    (here.home / "script.json").write_text(scripts(_1=[wrong_code(), RIGHT], _2=[RIGHT]))
    worker = await here.serving("hold:after:try_out@killed-c1")
    handle = await here.start(
        here.request("killed", engine="scripted", candidates=2, approval=ApprovalPolicy.AUTO)
    )
    await here.held("try_out@killed-c1")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    here.let_go("try_out@killed-c1")
    await here.serving()
    result = await asyncio.wait_for(handle.result(), 150)
    assert result.status is ExperimentStatus.MERGED, result.reason
    assert here.merges() == ["killed"]
    assert here.left_over() == []
    attempts = [one["attempt"] for one in judged(here, "killed")]
    assert sorted(attempts) == [1, 2, 3]
