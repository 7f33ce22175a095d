"""Candidates on a stage: what a cancel, a budget and a merge mean to them."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from schemas.budget import Budget
from schemas.candidates import CandidateOutcome
from schemas.experiment import Decision, DecisionAction, ExperimentStatus
from schemas.gates import Gate, GateReport, GateResult, Outcome
from schemas.holdout import Evidence
from schemas.library import MergeOutcome
from schemas.memory import Recalled
from schemas.trading import Metrics
from tests.cli.door import starter
from tests.support.temporal import Place
from tests.workflows.stage import COMMIT, DIGEST, Order, Stage, until, validated
from workflows import contest
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]

CANCEL = Decision(action=DecisionAction.CANCEL, by="tester")


@pytest.mark.parametrize(
    ("held", "answer", "next_step"),
    [("validate_code", validated, "fix_code"), ("recall_lessons", lambda order: Recalled(), "generate_code")],
    ids=["a step that can't hear it", "a step that isn't needed"],
)
async def test_a_cancel_stops_a_candidate_whatever_its_step_comes_to(
    temporal: Place, held: str, answer: Any, next_step: str
) -> None:
    stage = Stage(await temporal.client())
    let_go = asyncio.Event()

    async def hold(order: Order) -> Any:
        await let_go.wait()
        return answer(order)

    async with stage.playing(**{held: hold}):
        handle = await stage.start(stage.request("stops", candidates=2))
        await until(lambda: len(stage.orders.get(held, ())) == 2, "both candidates")
        await handle.execute_update(StrategyExperiment.decide, CANCEL)
        for name in (f"{handle.id}-c1", f"{handle.id}-c2"):
            await until(partial(told_to_stop, stage, name), "the cancel")
        let_go.set()
        assert (await handle.result()).status is ExperimentStatus.CANCELLED
        assert next_step not in stage.orders, "the candidates went on"


async def told_to_stop(stage: Stage, candidate: str) -> bool:
    """Whether its code has seen the cancel."""
    history = await stage.client.get_workflow_handle(candidate).fetch_history()
    kinds = [event.event_type for event in history.events]
    wanted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    return wanted in kinds and EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in kinds[kinds.index(wanted) :]


async def test_a_candidate_s_own_history_can_be_replayed(temporal: Place, tmp_path: Path) -> None:
    stage = Stage(await temporal.client())
    async with stage.playing():
        handle = await stage.start(stage.request("replays", candidates=2))
        assert (await handle.result()).status is ExperimentStatus.ROLLED_BACK
    history = await stage.client.get_workflow_handle(f"{handle.id}-c1").fetch_history()
    (tmp_path / "candidate.json").write_text(history.to_json())
    told = await asyncio.to_thread(starter, tmp_path, "replay", "--file", tmp_path / "candidate.json")
    assert told.code == 0, told.said


async def test_the_merge_names_the_image_that_the_chosen_one_was_tried_in(temporal: Place) -> None:
    """Without a holdout the experiment itself leases no sandbox."""
    stage = Stage(await temporal.client())
    numbers = dict.fromkeys(Metrics.model_fields, 1.0) | {"start": "2020-01-01", "end": "2020-04-09"}

    def tried(order: Order) -> GateReport:
        gates = [GateResult(gate=gate, outcome=Outcome.PASSED, summary="as played") for gate in Gate]
        metrics = Metrics.model_validate(numbers)
        return GateReport(commit=COMMIT, attempt=1, gates=gates, metrics=metrics, trades=DIGEST)

    async with stage.playing(
        validate_code=lambda order: validated(order, Outcome.PASSED),
        lease_sandbox=lambda order: stage.lease,
        try_out=tried,
        weigh_result=lambda order: Evidence(tries=2, experiments=1, windows=[]),
        merge_strategy=lambda order: MergeOutcome(status="merged", commit=COMMIT, tag="v1"),
    ):
        handle = await stage.start(stage.request("merges", candidates=2))
        assert (await handle.result()).status is ExperimentStatus.MERGED
    (merge,) = stage.orders["merge_strategy"]
    assert merge["image"] == stage.lease.image
    assert stage.orders["write_report"][-1]["sandbox"] == stage.lease.model_dump()


async def test_a_candidate_that_is_about_to_begin_hears_of_a_new_budget(
    temporal: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its order, with the old one, and can't be told yet."""
    begun, told = asyncio.Event(), []

    class Begun(asyncio.Future[CandidateOutcome]):
        async def signal(self, _: object, budget: Budget) -> None:
            told.append(budget)

    candidate = Begun()

    async def start_child_workflow(*_: object, **how: object) -> Begun:
        await begun.wait()
        return candidate

    async def wait_condition(reached: Any) -> None:
        await until(reached, "the condition")

    monkeypatch.setattr(
        contest,
        "workflow",
        SimpleNamespace(start_child_workflow=start_child_workflow, wait_condition=wait_condition),
    )
    request = Stage(await temporal.client()).request("begins", candidates=2)
    journal: Any = SimpleNamespace(budget=request.budget, add_usage=lambda usage: None)
    made = contest.Contest(
        request, journal, None, print, lambda: None, lambda: timedelta(hours=1), lambda: None  # type: ignore[arg-type]
    )
    working = asyncio.create_task(made._candidate(1, "scripted"))
    await asyncio.sleep(0)
    changing = asyncio.create_task(made.change_budget(Budget(calls=3)))
    await asyncio.sleep(0.1)
    begun.set()
    await changing
    assert told == [Budget(calls=3)]
    candidate.set_result(CandidateOutcome(number=1, engine="scripted", attempts=1))
    await working
