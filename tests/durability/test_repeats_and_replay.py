"""Every step twice, many experiments at once, no cache, and recorded histories: the same outcome."""

import asyncio
import base64
import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from schemas.experiment import ApprovalPolicy, Decision, DecisionAction, ExperimentStatus
from services.artifacts import Artifacts
from services.preserving import contents
from services.temporal.build import build_id
from tests.support.scripts import invalid_code, right_code, script, wrong_code, wrong_then_right
from tests.support.site import Site
from workflows.candidate import Candidate
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

RECORDED = Path(__file__).parents[1] / "replay"


async def test_every_step_and_every_undo_twice(here: Site) -> None:
    """The worker carries each activity out twice and fails the run where the second result differs."""
    (here.home / "script.json").write_text(wrong_then_right())
    await here.serving("twice:all:*")
    request = here.request("twice", engine="scripted", holdout=0.2)
    merged = await here.start(request)
    # another strategy: one of the same would change the number of tries between the first time and the second
    cancelled = await here.start(
        here.request("undone", strategy="EMA_Cross_Trend", approval=ApprovalPolicy.MANUAL)
    )
    await here.until_status(cancelled, "waiting")
    await cancelled.execute_update(
        StrategyExperiment.decide, Decision(action=DecisionAction.CANCEL, by="tester")
    )
    result = await merged.result()
    assert result.status is ExperimentStatus.MERGED
    assert result.holdout is not None
    assert result.holdout.passed
    assert (await cancelled.result()).status is ExperimentStatus.CANCELLED
    assert here.merges() == ["twice"]
    assert here.left_over() == []
    assert [version.version for version in here.library.versions("RSI_Reversal")] == [1]
    created, preserved, cleaned_up = here.records.sandboxes("twice")
    assert (created.event, preserved.event, cleaned_up.event) == ("created", "preserved", "cleaned_up")
    assert (preserved.reason or "").startswith("failed: conforms")
    packed = Artifacts(here.home / "artifacts").get(preserved.metrics["workspace"])
    assert contents(packed) == {"strategy.py": len(wrong_code())}
    known = len(Artifacts(here.home / "artifacts").get(request.data.digest))
    assert preserved.size_bytes == known + len(wrong_code())
    assert cleaned_up.size_bytes == known + len(right_code()[0])
    assert cleaned_up.seconds


async def test_twenty_at_once(here: Site) -> None:
    await here.serving()
    names = [f"many-{number:02}" for number in range(20)]
    handles = [await here.start(here.request(name)) for name in names]
    results = await asyncio.gather(*(handle.result() for handle in handles))
    assert {result.status for result in results} == {ExperimentStatus.MERGED}
    assert sorted(here.merges()) == names
    assert len({result.merged_commit for result in results}) == 20
    assert sorted(result.tag or "" for result in results) == sorted(
        f"strategies/RSI_Reversal/v{n}" for n in range(1, 21)
    )
    assert here.left_over() == []


async def test_without_a_cache_every_task_is_a_replay(here: Site) -> None:
    (here.home / "script.json").write_text(script(invalid_code(), wrong_code(), right_code()[0]))
    await here.serving("uncached")
    result = await here.run(here.request("uncached", engine="scripted"))
    assert result.status is ExperimentStatus.MERGED
    assert result.attempts == 3
    waits = await here.start(here.request("uncached-waits", approval=ApprovalPolicy.MANUAL))
    await here.until_status(waits, "waiting")
    await waits.execute_update(StrategyExperiment.decide, Decision(action=DecisionAction.REJECT, by="tester"))
    assert (await waits.result()).status is ExperimentStatus.ROLLED_BACK


async def test_a_history_names_the_code_that_led_it(served: Site) -> None:
    handle = await served.start(served.request("built"))
    await handle.result()
    events = (await handle.fetch_history()).events
    done = [event.workflow_task_completed_event_attributes for event in events]
    assert {one.worker_version.build_id for one in done if one.started_event_id} == {build_id()}


def recorded() -> list[Path]:
    return sorted(RECORDED.glob("*.json"))


def test_there_are_recorded_histories_of_every_ending() -> None:
    assert {path.stem.split("-")[0] for path in recorded()} >= {
        "merged",
        "fixed",
        "rolled_back",
        "rejected",
        "approved",
        "cancelled",
        "failed",
        "past",
        "model",
        "contest",
    }


@pytest.mark.parametrize("path", recorded(), ids=lambda path: path.stem)
async def test_recorded_histories_replay(path: Path) -> None:
    replayer = Replayer(workflows=[StrategyExperiment, Candidate], data_converter=pydantic_data_converter)
    history = WorkflowHistory.from_json(path.stem, path.read_text())
    await replayer.replay_workflow(history)


@pytest.mark.parametrize("path", recorded(), ids=lambda path: path.stem)
def test_histories_hold_no_source(path: Path) -> None:
    """Refs, hashes and small summaries only: no code, no logs, no curves."""
    text = path.read_text()
    assert len(text) < 300_000
    for event in json.loads(text)["events"]:
        for data in _payloads(event):
            assert b"class RSI" not in base64.b64decode(data)
            assert b"def next" not in base64.b64decode(data)


def _payloads(node: object) -> list[str]:
    if isinstance(node, dict):
        found = [node["data"]] if isinstance(node.get("data"), str) else []
        return found + [item for value in node.values() for item in _payloads(value)]
    if isinstance(node, list):
        return [item for value in node for item in _payloads(value)]
    return []
