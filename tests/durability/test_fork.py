"""Forks: an experiment begins with code that is on record, asks no engine for it, and goes its way as any other."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import git
import pytest
from temporalio.client import WorkflowFailureError

from schemas.budget import Budget
from schemas.definition import Thresholds
from schemas.experiment import (
    ApprovalPolicy,
    Decision,
    DecisionAction,
    ExperimentRequest,
    ExperimentStatus,
    Fork,
    ForkStep,
)
from schemas.sandbox import Limits
from schemas.trading import Costs
from services.artifacts import Artifacts
from services.budget import Budgets
from services.forks import Origin
from services.market_data import MarketData
from tests.support.model import ENGINE, in_turn, late, left_of_models, model_at, right, writes
from tests.support.scripts import invalid_code, right_code, script, wrong_code, wrong_then_right
from tests.support.site import Site
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

NewSite = Callable[[], Coroutine[Any, Any, Site]]
GENERATED, JUDGED = ForkStep.GENERATED, ForkStep.JUDGED


def origin(site: Site, experiment: str) -> Origin:
    return Origin(experiment, site.records, Artifacts(site.home / "artifacts"), site.library)


def forked(site: Site, name: str, fork: Fork, **more: Any) -> ExperimentRequest:
    return site.request(name, engine=fork.engine, fork=fork, **more)


def events(site: Site, experiment: str) -> list[str]:
    return [row.event for row in site.records.audit(experiment=experiment, limit=1000)]


def conforms(site: Site, experiment: str) -> list[str]:
    """What became of this gate at each attempt."""
    rows = site.records.audit(experiment=experiment, event="gates_judged", limit=100)
    return [row.data["gates"]["conforms"] for row in rows]


async def test_other_data_costs_limits_and_thresholds_without_a_second_call(here: Site) -> None:
    with model_at(here, in_turn(writes(late()), writes(right()))) as (server, environment):
        await here.serving(**environment)
        first = await here.run(here.request("origin", engine=ENGINE))
        assert (first.status, server.calls) == (ExperimentStatus.MERGED, 2), first.reason

        fork = origin(here, "origin").code(JUDGED)
        assert (fork.attempt, fork.commit, fork.code) == (2, first.judged_commit, first.code)
        market = MarketData(Artifacts(here.home / "artifacts"))
        same = here.request("same", fork=fork, engine=ENGINE)
        part = market.hold_back(same.data, 500)
        requests = {
            "data": same.model_copy(update={"data": part}),
            "costs": forked(here, "costs", fork, costs=Costs(commission=0.01), max_fixes=0),
            "limits": forked(here, "limits", fork, limits=Limits(memory_mb=700), budget=Budget(calls=0)),
            "gates": forked(
                here, "gates", fork, thresholds=Thresholds(min_trades=1000), approval=ApprovalPolicy.DRY_RUN
            ),
        }
        results = {}
        for name, request in requests.items():
            results[name] = await here.run(request.model_copy(update={"experiment_id": name}))
        assert server.calls == 2
    for name, result in results.items():
        assert (result.attempts, result.engine, result.usage) == (1, ENGINE, None), name
        assert (result.code, result.forked_from) == (first.code, fork), name
        assert Budgets(here.settings.records_url).balance(name, Budget()).spent.calls == 0
        assert "code_adopted" in events(here, name)
        assert "code_generated" not in events(here, name)
        assert ("token_issued" in events(here, name)) == (name != "costs"), "without repairs no key is needed"
    assert results["limits"].metrics == first.metrics
    assert results["data"].data == part.digest
    assert results["costs"].metrics
    assert first.metrics
    assert results["costs"].metrics.return_pct < first.metrics.return_pct
    assert results["gates"].status is ExperimentStatus.DRY_RUN
    assert results["gates"].recommendation
    assert "1000" in str(results["gates"].recommendation.model_dump())
    tries = {name: result.evidence.tries for name, result in results.items() if result.evidence}
    assert tries == {"data": 1, "costs": 3, "limits": 4, "gates": 5}, "they count as any on the same bars"
    assert left_of_models(here) == []


async def test_the_record_the_report_and_the_library_name_the_fork(here: Site) -> None:
    (here.home / "script.json").write_text(wrong_then_right())
    await here.serving("fail:before:generate_code@child", "fail:before:generate_code@grandchild")
    await here.run(here.request("origin", engine="scripted"))
    fork = origin(here, "origin").code(JUDGED)
    result = await here.run(forked(here, "child", fork))
    assert result.status is ExperimentStatus.MERGED, result.reason
    (opened,) = here.records.audit(experiment="child", event="experiment_opened")
    assert Fork.model_validate(opened.data["forked_from"]) == fork
    assert opened.data["engine"] == "scripted"
    (adopted,) = here.records.audit(experiment="child", event="code_adopted")
    assert (adopted.data["code"], adopted.data["usage"]) == (fork.code, None)
    assert result.report is not None
    report = Artifacts(here.home / "artifacts").get(result.report).decode()
    assert "Forked from" in report
    assert "origin, the code judged at attempt 2 by scripted" in report
    head = str(git.Repo(here.settings.library_location).commit("main").message)
    assert "Experiment-Id: child" in head
    assert "Forked-From: origin" in head
    assert "Engine: scripted" in head
    again = origin(here, "child").code(GENERATED)
    assert (again.experiment_id, again.code, again.engine) == ("child", fork.code, "scripted")
    assert (await here.run(forked(here, "grandchild", again))).status is ExperimentStatus.MERGED
    assert here.merges() == ["origin", "child", "grandchild"]
    assert here.left_over() == []


async def test_what_was_wrong_is_repaired_as_always(here: Site) -> None:
    """Both begin with what was generated: one may be repaired, the other not."""
    (here.home / "script.json").write_text(script(invalid_code(), wrong_code(), right_code()[0]))
    await here.serving("fail:before:generate_code@repaired", "fail:before:generate_code@left")
    await here.run(here.request("origin", engine="scripted"))
    fork = origin(here, "origin").code(GENERATED)
    assert (fork.attempt, fork.step) == (1, GENERATED)
    repaired = await here.run(forked(here, "repaired", fork))
    left = await here.run(forked(here, "left", fork, max_fixes=0))
    assert (repaired.status, repaired.attempts) == (ExperimentStatus.MERGED, 3), repaired.reason
    assert conforms(here, "repaired") == ["not_run", "failed", "passed"]
    assert left.status is ExperimentStatus.ROLLED_BACK
    assert left.reason.startswith("gate valid failed")
    assert here.left_over() == []


async def test_of_several_candidates_the_chosen_one_is_forked(here: Site) -> None:
    answers = {"1": [invalid_code()], "2": [wrong_code(), right_code()[0]]}
    (here.home / "script.json").write_text(
        json.dumps({"entrypoint": right_code()[1], "answers": [invalid_code()], "candidates": answers})
    )
    await here.serving("fail:before:generate_code@child")
    first = await here.run(here.request("contest", engine="scripted", candidates=2, max_fixes=1))
    assert first.status is ExperimentStatus.MERGED, first.reason
    generated, judged = (origin(here, "contest").code(step) for step in ForkStep)
    artifacts = Artifacts(here.home / "artifacts")
    assert artifacts.get(generated.code).decode() == wrong_code()
    assert (judged.code, judged.commit) == (first.code, first.judged_commit)
    assert generated.attempt < judged.attempt
    result = await here.run(forked(here, "child", judged, max_fixes=0))
    assert (result.status, result.attempts) == (ExperimentStatus.MERGED, 1), result.reason
    assert here.left_over() == []


async def test_a_worker_killed_before_inside_and_after_the_step(here: Site) -> None:
    (here.home / "script.json").write_text(wrong_then_right())
    plan = [f"kill:{place}:adopt_code" for place in ("before", "inside", "after")]
    async with here.worker_that_is_replaced(*plan, "fail:before:generate_code@child") as deaths:
        await here.run(here.request("origin", engine="scripted"))
        assert deaths == []
        fork = origin(here, "origin").code(GENERATED)
        result = await here.run(forked(here, "child", fork, holdout=0.2), seconds=240)
        died = len(deaths)
    assert (result.status, result.attempts) == (ExperimentStatus.MERGED, 2), result.reason
    assert died == 3
    assert events(here, "child").count("code_adopted") == 1
    assert result.evidence is not None
    assert result.evidence.tries == 4
    assert here.merges() == ["origin", "child"]
    assert here.left_over() == []


async def test_every_step_twice(here: Site) -> None:
    (here.home / "script.json").write_text(wrong_then_right())
    await here.serving("twice:all:*")
    await here.run(here.request("origin", engine="scripted"))
    fork = origin(here, "origin").code(GENERATED)
    result = await here.run(forked(here, "child", fork))
    assert (result.status, result.attempts) == (ExperimentStatus.MERGED, 2), result.reason
    assert here.merges() == ["origin", "child"]
    assert here.left_over() == []


async def test_cancelled_at_the_step(here: Site) -> None:
    (here.home / "script.json").write_text(wrong_then_right())
    await here.serving("hold:before:adopt_code@early", "hold:after:adopt_code@late")
    await here.run(here.request("origin", engine="scripted"))
    fork = origin(here, "origin").code(JUDGED)
    handles = {f"adopt_code@{name}": await here.start(forked(here, name, fork)) for name in ("early", "late")}
    for held, handle in handles.items():
        await here.held(held)
        await handle.execute_update(
            StrategyExperiment.decide, Decision(action=DecisionAction.CANCEL, by="tester")
        )
        here.let_go(held)
    for handle in handles.values():
        result = await asyncio.wait_for(handle.result(), 120)
        assert result.status is ExperimentStatus.CANCELLED
    assert here.merges() == ["origin"]
    assert here.left_over() == []


async def test_code_that_is_gone_by_then_fails_for_good(here: Site) -> None:
    """Without a second try, and without anything left."""
    (here.home / "script.json").write_text(wrong_then_right())
    await here.serving()
    await here.run(here.request("origin", engine="scripted"))
    fork = origin(here, "origin").code(GENERATED)
    Artifacts(here.home / "artifacts").path(fork.code).unlink()
    handle = await here.start(forked(here, "child", fork))
    with pytest.raises(WorkflowFailureError) as told:
        await asyncio.wait_for(handle.result(), 60)
    assert f"the step generate failed: ArtifactMissing: artifact {fork.code} is not in" in str(
        told.value.cause
    )
    row = here.records.experiment("child")
    assert row is not None
    assert row.status is ExperimentStatus.FAILED
    assert here.left_over() == []
