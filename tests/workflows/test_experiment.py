"""The experiment on a stage: what a real world seldom shows."""

import asyncio
from datetime import timedelta

import pytest

from schemas.experiment import Decision, DecisionAction, ExperimentStatus
from schemas.gates import Outcome
from schemas.memory import Recalled
from schemas.steps import SandboxesBusy
from tests.support.temporal import Place
from tests.workflows.stage import DIGEST, Order, Stage, until, validated
from workflows import timing
from workflows.desk import Desk
from workflows.experiment import StrategyExperiment
from workflows.journal import Journal

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]


async def test_nobody_served_until_long_after_the_deadline(
    temporal: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step had ended before: the story takes it up, and goes one step on before it hears of the deadline."""
    monkeypatch.setattr(timing, "LEASE_GRACE", timedelta(seconds=0.1))
    stage = Stage(await temporal.client())
    let_go, ended = asyncio.Event(), asyncio.Event()

    async def hold(order: Order) -> Recalled:
        await let_go.wait()
        ended.set()
        return Recalled()

    async with stage.acting(recall_lessons=hold):
        async with stage.telling():
            limits = {"engine": "openai:some-model", "timeout": timedelta(seconds=2)}
            handle = await stage.start(stage.request("late", **limits))
            await until(lambda: "recall_lessons" in stage.orders, "the first step")
        let_go.set()
        await ended.wait()
        await asyncio.sleep(3)
        async with stage.telling():
            result = await asyncio.wait_for(handle.result(), 20)
    assert result.status is ExperimentStatus.ROLLED_BACK
    assert "the deadline passed" in result.reason


async def test_the_memory_is_told_which_definition_it_was(temporal: Place) -> None:
    stage = Stage(await temporal.client())
    async with stage.playing():
        handle = await stage.start(stage.request("learns"))
        assert (await handle.result()).status is ExperimentStatus.ROLLED_BACK
    (learned,) = stage.orders["learn_lessons"]
    assert learned["definition_digest"] == DIGEST


async def test_who_has_left_the_line_stands_in_it_no_more(temporal: Place) -> None:
    stage = Stage(await temporal.client())
    async with stage.playing(
        validate_code=lambda order: validated(order, Outcome.PASSED),
        lease_sandbox=lambda order: SandboxesBusy(place=3, host="h", most=1),
    ):
        handle = await stage.start(stage.request("leaves"))

        async def place() -> str | None:
            return (await handle.query(StrategyExperiment.progress)).in_line

        assert "3rd in line" in await until(place, "the line")
        await handle.signal(StrategyExperiment.cancel)
        assert (await handle.result()).status is ExperimentStatus.CANCELLED
        assert await place() is None


async def test_a_cancel_may_be_bound_to_a_commit_too(temporal: Place) -> None:
    request = Stage(await temporal.client()).request("bound")
    desk = Desk(request.experiment_id, Journal(request))
    other = Decision(action=DecisionAction.CANCEL, commit="0" * 40)
    assert "what was judged last is nothing" in (desk.refusal(other) or "")
    desk.journal.judged = "1" * 40
    assert f"what was judged last is {'1' * 40}" in (desk.refusal(other) or "")
    assert desk.refusal(other.model_copy(update={"commit": "1" * 7})) is None
    assert desk.refusal(Decision(action=DecisionAction.CANCEL)) is None
