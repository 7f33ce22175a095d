"""Decisions: taken once, for the commit that was judged; everything else is refused and changes nothing."""

import subprocess

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from schemas.experiment import ApprovalPolicy, Decision, DecisionAction, ExperimentStatus
from services.temporal.server import binary
from tests.support.site import Handle, Site
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]


def approval(commit: str | None = None) -> Decision:
    return Decision(action=DecisionAction.APPROVE, commit=commit, by="ann")


async def refusal(handle: Handle, decision: Decision) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(StrategyExperiment.decide, decision)
    return str(refused.value.cause)


async def waiting(served: Site, name: str) -> Handle:
    handle = await served.start(served.request(name, approval=ApprovalPolicy.MANUAL))
    await served.until_status(handle, "waiting")
    return handle


async def test_approved_for_another_commit_then_for_the_judged_one_then_again(served: Site) -> None:
    served.plan("hold:before:merge_strategy@decided")
    handle = await waiting(served, "decided")
    progress = await handle.query(StrategyExperiment.progress)
    assert progress.commit is not None
    assert "was not judged" in await refusal(handle, approval("0" * 40))
    assert (await handle.query(StrategyExperiment.progress)).status is ExperimentStatus.WAITING

    receipt = await handle.execute_update(
        StrategyExperiment.decide, approval(progress.commit[:12]), id="first"
    )
    assert receipt.commit == progress.commit
    again = await handle.execute_update(StrategyExperiment.decide, approval(progress.commit[:12]), id="first")
    assert again == receipt, "the same update is answered with the first answer"
    reject = Decision(action=DecisionAction.REJECT, by="bob")
    assert "being merged" in await refusal(handle, reject)
    assert "being merged" in await refusal(handle, approval(progress.commit))
    served.let_go("merge_strategy@decided")

    result = await handle.result()
    assert result.status is ExperimentStatus.MERGED
    with pytest.raises(RPCError, match="completed"):  # late: the run is closed
        await handle.execute_update(StrategyExperiment.decide, reject)
    assert served.merges("decided") == ["decided"]
    taken = served.records.audit(experiment="decided", event="decision_taken")
    assert [row.actor for row in taken] == ["ann"]


async def test_rejected_and_after_a_cancel(served: Site) -> None:
    served.plan("hold:before:delete_branch@cancelled")
    rejected = await waiting(served, "rejected")
    await rejected.execute_update(
        StrategyExperiment.decide, Decision(action=DecisionAction.REJECT, by="bob", comment="too thin")
    )
    result = await rejected.result()
    assert (result.status, result.reason) == (ExperimentStatus.ROLLED_BACK, "rejected by bob: too thin")

    cancelled = await waiting(served, "cancelled")
    await cancelled.execute_update(
        StrategyExperiment.decide, Decision(action=DecisionAction.CANCEL, by="bob")
    )
    await served.held("delete_branch@cancelled")
    refused = await refusal(cancelled, approval())
    assert "ended" in refused or "being stopped" in refused
    served.let_go("delete_branch@cancelled")
    assert (await cancelled.result()).status is ExperimentStatus.CANCELLED
    assert served.merges("rejected", "cancelled") == []
    assert served.left_over() == []


async def test_before_there_is_anything_to_decide(served: Site) -> None:
    served.plan("hold:before:try_out@early")
    handle = await served.start(served.request("early", approval=ApprovalPolicy.MANUAL))
    await served.held("try_out@early")
    assert "not waiting" in await refusal(handle, approval())
    await handle.signal(StrategyExperiment.approve)
    served.let_go("try_out@early")
    await served.until_status(handle, "waiting")
    progress = await handle.query(StrategyExperiment.progress)
    assert any("not waiting" in notice for notice in progress.notices)
    await handle.execute_update(StrategyExperiment.decide, approval())
    assert (await handle.result()).status is ExperimentStatus.MERGED


SIGNALS = {
    "approve": (None, "merged"),
    "approve-null": ("null", "merged"),
    "approve-object": ('{"by": "ann", "comment": "fine"}', "merged"),
    "approve-text": ('"fine"', "merged"),
    "reject": ('{"by": "bob"}', "rolled_back"),
    "cancel": (None, "cancelled"),
}


async def test_signals_from_the_command_line_of_temporal(served: Site) -> None:
    """`temporal workflow signal`, with an empty payload or plain JSON, as the Web UI sends it."""
    handles = {
        name: await served.start(served.request(name, approval=ApprovalPolicy.MANUAL)) for name in SIGNALS
    }
    for name, handle in handles.items():
        await served.until_status(handle, "waiting")
        payload, _ = SIGNALS[name]
        for body in (["--input", '{"commit": "not a commit"}'], ["--input", "[1, 2]"]):
            await signal(served, name, body)
        await signal(served, name, ["--input", payload] if payload is not None else [])
    for name, handle in handles.items():
        result = await handle.result()
        assert result.status == SIGNALS[name][1], name
        refused = served.records.audit(experiment=name, event="decision_refused")
        assert len(refused) == 2, [row.data for row in refused]
    assert served.left_over() == []


async def signal(served: Site, name: str, body: list[str]) -> None:
    command = [
        str(binary()),
        *("workflow", "signal", *served.temporal.options, "--workflow-id", name),
        *("--name", name.split("-")[0], *body),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


async def test_the_details_in_the_web_ui_tell_the_story(served: Site) -> None:
    handle = await waiting(served, "told")
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    details = metadata.current_details
    assert "Waiting for a decision on commit" in details
    assert "| conforms | ✓ |" in details
    await handle.signal(StrategyExperiment.reject)
    await handle.result()
