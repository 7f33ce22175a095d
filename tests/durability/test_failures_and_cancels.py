"""A failure at each step; a cancel at each step, while waiting for a person, and during the undo: nothing is left.

One worker serves all experiments of a test, which run at the same time; a fault is planned for each by its name.
"""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

from schemas.experiment import ApprovalPolicy, Decision, DecisionAction, ExperimentResult, ExperimentStatus
from tests.support.site import Handle, Site
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

MAKING = [
    "generate_code",
    "validate_code",
    "lease_sandbox",
    "try_out",
    "fix_code",
    "open_holdout",
    "weigh_result",
]
CANCEL = Decision(action=DecisionAction.CANCEL, by="tester", comment="enough")


async def _outcome(handle: Handle) -> ExperimentResult | BaseException:
    try:
        return await asyncio.wait_for(handle.result(), 120)
    except WorkflowFailureError as error:
        return error.cause


async def test_a_failure_at_each_step(served: Site) -> None:
    steps = [*MAKING, "merge_strategy"]
    served.plan(*(f"fail:before:{step}@fails-{step}" for step in steps))
    handles = [
        await served.start(served.request(f"fails-{step}", engine="scripted", holdout=0.2)) for step in steps
    ]
    for step, outcome in zip(steps, await asyncio.gather(*map(_outcome, handles)), strict=True):
        assert "injected" in str(outcome), f"{step}: {outcome}"
        row = served.records.experiment(f"fails-{step}")
        assert row is not None
        assert row.status is ExperimentStatus.FAILED
        assert "injected" in (row.reason or "")
    assert served.merges(*(f"fails-{step}" for step in steps)) == []
    assert served.left_over() == []


async def test_a_failure_of_bookkeeping_and_papers_fails_no_experiment(here: Site) -> None:
    served = here
    steps = ["destroy_sandbox", "delete_branch", "write_report", "export_history", "record_events"]
    await served.serving(*(f"fail:before:{step}@still-{step}" for step in steps))
    handles = [await served.start(served.request(f"still-{step}", holdout=0.2)) for step in steps]
    for step, outcome in zip(steps, await asyncio.gather(*map(_outcome, handles)), strict=True):
        assert isinstance(outcome, ExperimentResult), f"{step}: {outcome}"
        assert outcome.status is ExperimentStatus.MERGED, f"{step}: {outcome.reason}"
    assert sorted(served.merges()) == sorted(f"still-{step}" for step in steps)
    # What an undo could not remove is told, and has its lease for the sweep to find.
    left = {(lease.kind, lease.experiment_id) for lease in served.records.leases(open_only=True)}
    assert left == {("sandbox", "still-destroy_sandbox"), ("branch", "still-delete_branch")}
    closing = served.records.audit(experiment="still-delete_branch", event="experiment_closed")
    assert "branch ai/generate/RSI_Reversal/still-delete_branch" in str(closing[0].data)


@pytest.mark.parametrize("native", [False, True], ids=["by decision", "by Temporal"])
async def test_a_cancel_at_each_step(served: Site, native: bool) -> None:
    places = [f"{place}:{step}" for step in MAKING for place in ("before", "after")]
    kind = "native" if native else "word"
    names = {place: f"stops-{kind}-{place.replace(':', '-')}" for place in places}
    served.plan(*(f"hold:{place}@{name}" for place, name in names.items()))
    await asyncio.gather(*(_cancel_at(served, place, name, native) for place, name in names.items()))
    assert served.merges(*names.values()) == []
    assert served.left_over() == []


async def _cancel_at(served: Site, place: str, name: str, native: bool) -> None:
    step = place.split(":")[1]
    handle = await served.start(served.request(name, engine="scripted", holdout=0.2))
    await served.held(f"{step}@{name}")
    if native:
        await handle.cancel()
    else:
        await handle.execute_update(StrategyExperiment.decide, CANCEL)
    served.let_go(f"{step}@{name}")
    outcome = await _outcome(handle)
    if native:
        assert type(outcome).__name__ == "CancelledError", f"{place}: {outcome}"
    else:
        assert isinstance(outcome, ExperimentResult), f"{place}: {outcome}"
        assert outcome.status is ExperimentStatus.CANCELLED
        assert outcome.reason == "cancelled by tester: enough"
    row = served.records.experiment(name)
    assert row is not None
    assert row.status is ExperimentStatus.CANCELLED


async def test_a_cancel_while_waiting_and_during_the_undo(served: Site) -> None:
    """The second cancel, which comes while the first one's undo runs, changes nothing."""
    served.plan("hold:before:delete_branch@undoing-update", "hold:before:delete_branch@undoing-native")
    handles = {
        name: await served.start(served.request(name, approval=ApprovalPolicy.MANUAL))
        for name in ("waiting-native", "undoing-update", "undoing-native")
    }
    for handle in handles.values():
        await served.until_status(handle, "waiting")
    await handles["waiting-native"].cancel()
    for name in ("undoing-update", "undoing-native"):
        await handles[name].execute_update(StrategyExperiment.decide, CANCEL)
        await served.held(f"delete_branch@{name}")
    await handles["undoing-native"].cancel()
    await handles["undoing-update"].signal(StrategyExperiment.cancel)
    for name in ("undoing-update", "undoing-native"):
        served.let_go(f"delete_branch@{name}")
    outcomes = {name: await _outcome(handle) for name, handle in handles.items()}
    assert type(outcomes["waiting-native"]).__name__ == "CancelledError"
    for name in ("undoing-update", "undoing-native"):
        outcome = outcomes[name]
        assert isinstance(outcome, ExperimentResult), f"{name}: {outcome}"
        assert outcome.status is ExperimentStatus.CANCELLED
    assert served.merges(*handles) == []
    assert served.left_over() == []


async def test_a_cancel_is_recorded_to_its_end_where_the_report_fails_too(served: Site) -> None:
    served.plan("fail:before:write_report@mute")
    handle = await served.start(served.request("mute", approval=ApprovalPolicy.MANUAL))
    await served.until_status(handle, "waiting")
    await handle.execute_update(StrategyExperiment.decide, CANCEL)
    outcome = await _outcome(handle)
    assert isinstance(outcome, ExperimentResult)
    assert outcome.status is ExperimentStatus.CANCELLED
    assert served.records.audit(experiment="mute", event="experiment_closed")
    assert served.left_over() == []


async def test_a_cancel_during_the_merge_comes_too_late(served: Site) -> None:
    served.plan("hold:before:merge_strategy@late-native", "hold:after:merge_strategy@late-signal")
    handles = {name: await served.start(served.request(name)) for name in ("late-native", "late-signal")}
    for name in handles:
        await served.held(f"merge_strategy@{name}")
    await handles["late-native"].cancel()
    await handles["late-signal"].signal(StrategyExperiment.cancel)
    for name in handles:
        served.let_go(f"merge_strategy@{name}")
    for name, handle in handles.items():
        outcome = await _outcome(handle)
        assert isinstance(outcome, ExperimentResult), f"{name}: {outcome}"
        assert outcome.status is ExperimentStatus.MERGED
    assert sorted(served.merges(*handles)) == ["late-native", "late-signal"]
    assert served.left_over() == []
    assert served.records.audit(experiment="late-signal", event="decision_refused")


async def test_the_deadline_rolls_back_what_runs_and_what_waits(served: Site) -> None:
    served.plan("hold:before:try_out@slow")
    short = {"timeout": timedelta(seconds=8)}
    slow = await served.start(served.request("slow", **short))
    waits = await served.start(served.request("waits", approval=ApprovalPolicy.MANUAL, **short))
    await served.held("try_out@slow")
    await asyncio.sleep(8)
    served.let_go("try_out@slow")
    for handle in (slow, waits):
        outcome = await _outcome(handle)
        assert isinstance(outcome, ExperimentResult)
        assert outcome.status is ExperimentStatus.ROLLED_BACK
        assert "deadline" in outcome.reason
    assert served.merges("slow", "waits") == []
    assert served.left_over() == []
