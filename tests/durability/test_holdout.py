"""The sealed holdout in a whole experiment: nothing of it anywhere before the decision, one opening on record."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from schemas.definition import Thresholds
from schemas.experiment import ApprovalPolicy, Decision, DecisionAction, ExperimentRequest, ExperimentStatus
from schemas.gates import Gate, Outcome
from services.artifacts import Artifacts
from tests.support.scripts import right_code, script, wrong_code
from tests.support.site import Site
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

SEALED = re.compile(rb"2011-(06-(1[6-9]|2|3)|0[7-9]|1)|201[23]-")
"""Days of the holdout: it begins on 2011-06-16."""


def telling() -> str:
    """The right code, which also tells what it saw."""
    code, _ = right_code()
    said = code.replace(
        "    def init(self):",
        '    def init(self):\n        print("SAW", len(self.data), str(self.data.index[-1])[:10])',
        1,
    )
    assert said != code
    return said


def leaks(home: Path, request: ExperimentRequest) -> list[str]:
    """Files that hold a day of the holdout, but for the sealed data itself."""
    assert request.holdout is not None
    return [
        str(path.relative_to(home))
        for folder in ("artifacts", "reports", "sandboxes")
        for path in (home / folder).rglob("*")
        if path.is_file() and path.name != request.holdout.whole.digest and SEALED.search(path.read_bytes())
    ]


async def test_nothing_of_the_holdout_is_known_before_it_is_opened(here: Site) -> None:
    """The first code is repaired, both tell what they see; then all stands still just before the opening."""
    (here.home / "script.json").write_text(
        script(telling().replace("oversold = 35", "oversold = 25"), telling())
    )
    request = here.request("sealed", engine="scripted", holdout=0.2, approval=ApprovalPolicy.MANUAL)
    assert request.holdout is not None
    await here.serving("hold:before:open_holdout")
    handle = await here.start(request)
    await here.held("open_holdout")
    artifacts = here.home / "artifacts"
    seen = {line for path in artifacts.rglob("*") if path.is_file() for line in saw(path)}
    assert seen == {"SAW 1719 2011-06-15"}
    assert leaks(here.home, request) == []
    events = [row.event for row in here.records.audit(experiment="sealed", limit=1000)]
    assert events.count("gates_judged") == 2
    assert events[-1] == "holdout_opened"  # on record, and nothing is opened yet
    for row in here.records.audit(experiment="sealed", limit=1000):
        assert not SEALED.search(json.dumps(row.data).encode()), row.event

    here.let_go("open_holdout")
    await here.until_status(handle, "waiting")
    assert leaks(here.home, request) != []  # the report shows it, now
    progress = await handle.query(StrategyExperiment.progress)
    assert progress.recommendation is not None
    assert "In the holdout of 429 bars: 5 trades" in progress.recommendation.reason
    await handle.execute_update(
        StrategyExperiment.decide, Decision(action=DecisionAction.APPROVE, by="tester")
    )
    result = await handle.result()
    assert result.status is ExperimentStatus.MERGED
    assert result.holdout is not None
    assert result.holdout.passed
    assert result.evidence is not None
    assert (result.evidence.tries, result.evidence.variants, result.evidence.opened_before) == (2, 2, 0)
    (opened,) = here.records.audit(experiment="sealed", event="holdout_opened")
    assert opened.data["whole_sha256"] == request.holdout.whole.digest
    assert (opened.data["first"], opened.data["bars"]) == (1719, 429)
    assert here.left_over() == []


def saw(path: Path) -> list[str]:
    return [line for line in path.read_bytes().decode(errors="replace").splitlines() if line[:3] == "SAW"]


async def test_the_next_experiment_is_told_that_the_holdout_was_opened(here: Site) -> None:
    """And all thresholds are asked of both sides of the seam, by name."""
    await here.serving()
    first = await here.run(here.request("one", holdout=0.2))
    assert first.status is ExperimentStatus.MERGED
    handle = await here.start(
        here.request("two", holdout=0.2, thresholds=Thresholds(min_sharpe=1.0, min_deflated_sharpe=0.9))
    )
    await here.until_status(handle, "waiting")
    found = (await handle.query(StrategyExperiment.progress)).recommendation
    assert found is not None
    assert "This holdout had been opened before, by 1 experiment." in found.reason
    told = "; ".join(found.adaptations)
    assert "Sharpe ratio is" in told  # before the holdout; within it, 1.53 is enough
    assert "in the holdout" not in told
    assert "deflated Sharpe ratio is" in told
    await handle.execute_update(
        StrategyExperiment.decide, Decision(action=DecisionAction.REJECT, by="tester")
    )
    assert (await handle.result()).status is ExperimentStatus.ROLLED_BACK


async def test_what_fails_a_gate_leaves_it_sealed_and_what_fails_in_it_is_rolled_back(here: Site) -> None:
    code, _ = right_code()
    shy = code.replace(
        "    def next(self):", "    def next(self):\n        if len(self.data) > 1800:\n            return", 1
    )
    assert shy != code
    (here.home / "script.json").write_text(script(wrong_code()))
    await here.serving()
    failed = await here.run(here.request("failed", engine="scripted", holdout=0.2))
    assert failed.status is ExperimentStatus.ROLLED_BACK
    assert (failed.holdout, failed.evidence) == (None, None)
    assert here.records.audit(experiment="failed", event="holdout_opened") == []
    (here.home / "script.json").write_text(script(shy))
    late = await here.run(here.request("late", engine="scripted", holdout=0.2))
    assert late.status is ExperimentStatus.ROLLED_BACK
    assert {gate.outcome for gate in late.gates} == {Outcome.PASSED}
    assert late.holdout is not None
    assert [gate.gate for gate in late.holdout.gates if gate.outcome is Outcome.FAILED] == [Gate.CONFORMS]
    assert "in the holdout, gate conforms failed" in late.reason
    assert late.evidence is not None
    assert late.evidence.tries == 2
    assert here.merges() == []
    assert here.left_over() == []
    page = (here.home / "reports" / "late.html").read_text()
    assert "conforms failed" in page


async def test_without_a_holdout_the_tries_are_weighed_all_the_same(here: Site) -> None:
    await here.serving()
    one, two = await asyncio.gather(
        here.run(here.request("open-1")), here.run(here.request("open-2", approval=ApprovalPolicy.DRY_RUN))
    )
    for result in (one, two):
        assert result.holdout is None
        assert result.evidence is not None
        assert [window.name for window in result.evidence.windows][:2] == ["all", "1/5"]
        assert result.evidence.tries in (1, 2)
    opened = here.records.audit(event="holdout_opened")
    assert opened == []
    assert Artifacts(here.home / "artifacts").get_json(one.trades or "")
