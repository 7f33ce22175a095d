"""Experiments whose code a model writes, from prompt to verdict: they remember, keep to budgets, can be stopped.

The model is a server of the OpenAI protocol on this machine; workers, memory, secrets and accounts are the real ones.
"""

import asyncio
import json
import re
import threading
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from schemas.budget import Budget
from schemas.experiment import Decision, DecisionAction, ExperimentResult, ExperimentStatus
from schemas.gates import Gate
from services.artifacts import Artifacts
from services.budget import Budgets
from tests.cli.door import Outcome, starter
from tests.durability.test_holdout import SEALED
from tests.support.model import (
    ANSWERS,
    ENGINE,
    KEY,
    LEAVES,
    by_engine,
    definition,
    first_time,
    in_turn,
    late,
    left_of_models,
    lessons_of,
    memory_at,
    model_at,
    question,
    raising,
    right,
    runs,
    spent,
    writes,
)
from tests.support.openai_server import Handler, Reply, fails, hangs, says
from tests.support.scripts import wrong_then_right
from tests.support.site import Handle, Site
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

CANCEL = Decision(action=DecisionAction.CANCEL, by="tester", comment="enough")


def text_of(site: Site, result: ExperimentResult) -> str:
    assert result.report is not None
    return Artifacts(site.home / "artifacts").get(result.report).decode()


def events(site: Site, experiment: str, name: str) -> list[dict[str, Any]]:
    return [row.data for row in site.records.audit(experiment=experiment, event=name, limit=100)]


# -- memory


async def test_what_one_experiment_had_to_learn_the_next_one_knows(here: Site) -> None:
    """Wrong twice, then right; the next definition with the same pitfall is right at once, and only because its
    question holds the fix."""
    again = definition("RSI_Rebound", description="As the first, at another time.")

    def model(handler: Handler) -> None:
        if '"RSI_Rebound"' in question(handler):
            code = right(again) if f"+        {LEAVES}" in question(handler) else late(again)
            writes(code, "RSI_Rebound")(handler)
        else:
            in_turn(writes(raising()), writes(late()), writes(right()))(handler)

    with memory_at(here), model_at(here, model) as (server, environment):
        await here.serving(GENESIS_MEMORY="true", **environment)
        budget = Budget(calls=10, tokens=500_000)
        first = await here.run(here.request("learns", engine=ENGINE, budget=budget, holdout=0.2))
        assert first.status is ExperimentStatus.MERGED, first.reason
        assert (first.attempts, first.lessons) == (3, [])
        assert server.calls == 3
        asked = json.dumps(server.requests).encode()
        assert re.search(rb"20(0\d|10)-\d\d-\d\d", asked), "the gates' findings name days"
        assert not SEALED.search(asked)
        (learned,) = events(here, "learns", "lessons_learned")
        assert (learned["new"], learned["known"]) == (2, 0)
        assert sorted((lesson.gate, lesson.worked, lesson.failed) for lesson in lessons_of(here)) == [
            (Gate.CONFORMS, 1, 0),
            (Gate.RUNS, 1, 0),
        ]

        request = here.request("knows", engine=ENGINE, budget=budget).model_copy(update={"definition": again})
        second = await here.run(request)
        assert second.status is ExperimentStatus.MERGED, second.reason
        assert second.attempts == 1
        assert server.calls == 4
    assert {(given.attempt, given.lesson.experiment_id, given.helped) for given in second.lessons} == {
        (1, "learns", True)
    }
    (recalled,) = events(here, "knows", "lessons_recalled")
    assert {lesson["id"] for lesson in recalled["lessons"]} == {given.lesson.id for given in second.lessons}
    (learned,) = events(here, "knows", "lessons_learned")
    assert sorted(learned["helped"]) == sorted(given.lesson.id for given in second.lessons)
    assert {(lesson.recalled, lesson.helped) for lesson in lessons_of(here)} == {(1, 1)}
    report = text_of(here, second)
    for given in second.lessons:
        assert given.lesson.error_type in report
    assert report.count("<td>learns</td><td>yes</td>") == len(second.lessons) == 2
    assert "1 call, 1,000 tokens in, 200 out, price unknown" in report
    assert "1,200 of 500,000 tokens" in report.replace("1200", "1,200").replace("500000", "500,000")
    assert "1 of 10 calls spent, 9 left" in report
    assert here.merges() == ["learns", "knows"]
    assert left_of_models(here) == []


async def test_a_failure_of_memory_fails_no_experiment(here: Site) -> None:
    (here.home / "script.json").write_text(wrong_then_right())
    steps = ["recall_lessons", "learn_lessons"]
    await here.serving(*(f"fail:before:{step}@still-{step}" for step in steps))
    handles = {step: await here.start(here.request(f"still-{step}", engine="scripted")) for step in steps}
    for step, handle in handles.items():
        result = await asyncio.wait_for(handle.result(), 120)
        assert result.status is ExperimentStatus.MERGED, f"{step}: {result.reason}"
        notices = (await handle.query(StrategyExperiment.progress)).notices
        assert [note for note in notices if "the memory was not asked" in note and "injected" in note], step
    assert left_of_models(here) == []


# -- budgets


async def test_over_budget_at_the_first_code_and_at_a_repair(here: Site) -> None:
    limits = {
        "no-calls": (Budget(calls=0), "--calls 1", 0),
        "few-tokens": (Budget(tokens=5_000), "--tokens ", 0),
        "dollars": (Budget(usd=1.0), "its price is unknown", 0),
        "one-call": (Budget(calls=1), "--calls 2", 1),
        "two-calls": (Budget(calls=2), "--calls 3", 2),
    }
    unusable = in_turn(writes(late()), says("Buy low, sell high."))
    replies = dict.fromkeys(limits, ANSWERS) | {"two-calls": unusable}
    with model_at(here, by_engine(replies)) as (server, environment):
        await here.serving(**environment)
        handles = {
            name: await here.start(here.request(name, engine=f"openai:{name}", budget=budget))
            for name, (budget, _, _) in limits.items()
        }
        for name, (_, words, calls) in limits.items():
            result = await asyncio.wait_for(handles[name].result(), 120)
            assert result.status is ExperimentStatus.ROLLED_BACK, f"{name}: {result.reason}"
            assert f"python starter.py budget {name} " in result.reason
            assert words in result.reason
            assert spent(here, name) == calls
            assert (result.usage.calls if result.usage else 0) == calls
            row = here.records.experiment(name)
            assert row is not None
            assert (row.status, row.reason) == (ExperimentStatus.ROLLED_BACK, result.reason)
        assert server.calls == 3
    assert here.merges() == []
    assert left_of_models(here) == []


@pytest.mark.parametrize("candidates", [1, 2])
async def test_a_budget_that_is_raised_in_time(here: Site, candidates: int) -> None:
    """The repairs have room, since it was made while the first code was written."""
    raised = threading.Event()

    def until_raised() -> None:
        assert raised.wait(60)

    first = runs(until_raised, writes(late()))
    with model_at(here, in_turn(first, writes(right()))) as (server, environment):
        await here.serving("hold:before:revoke_tokens@raised", **environment)
        budget = Budget(calls=candidates, tokens=1_000_000)
        handle = await here.start(here.request("raised", engine=ENGINE, budget=budget, candidates=candidates))
        await here.until(lambda: server.calls == candidates, "the model to be asked")
        changed = await handle.execute_update(StrategyExperiment.change_budget, Budget(calls=2 * candidates))
        assert changed == Budget(calls=2 * candidates, tokens=1_000_000)
        raised.set()
        await here.held("revoke_tokens@raised")
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(StrategyExperiment.change_budget, Budget(calls=9))
        assert "raised is at its end" in str(refused.value.cause)
        here.let_go("revoke_tokens@raised")
        result = await asyncio.wait_for(handle.result(), 150)
        assert result.status is ExperimentStatus.MERGED, result.reason
        assert server.calls == spent(here, "raised") == 2 * candidates
    assert f"{2 * candidates} of {2 * candidates} calls spent, 0 left" in text_of(here, result)
    assert left_of_models(here) == []


async def test_the_command_line_tells_of_budgets_and_raises_them(here: Site) -> None:
    raised = threading.Event()

    def until_raised() -> None:
        assert raised.wait(60)

    model = by_engine(
        {"small": ANSWERS, "slow": in_turn(runs(until_raised, writes(late())), writes(right()))}
    )
    with model_at(here, model) as (server, environment):
        await here.serving(**environment)
        where = {**here.temporal.environment, "GENESIS_TASK_QUEUE": here.queue}
        options: dict[str, Any] = {"seconds": 90, **environment, **where}

        async def said(*given: object) -> Outcome:
            return await asyncio.to_thread(starter, here.home, *given, **options)

        def begun(name: str, engine: str, calls: int) -> Coroutine[Any, Any, Outcome]:
            request = ("--strategy", "RSI_Reversal", "--approval", "auto", "--id", name, "--json")
            return said(*request, "--engine", engine, "--calls", calls)

        slow = asyncio.create_task(begun("dear", "openai:slow", 1))
        cheap = await begun("cheap", ENGINE, 0)
        assert (cheap.code, cheap.json["status"]) == (1, "rolled_back"), cheap.said
        assert "python starter.py budget cheap --calls 1" in cheap.json["reason"]
        await here.until(lambda: server.calls, "the model to be asked")
        told = await said("budget", "dear", "--calls", 2)
        assert told.code == 0, told.said
        raised.set()
        dear = await slow
        assert (dear.code, dear.json["status"]) == (0, "merged"), dear.said
        assert dear.json["usage"]["calls"] == server.calls == 2
    assert left_of_models(here) == []


async def test_candidates_share_one_budget(here: Site) -> None:
    """There is one call for the two of them: the other goes without, and the experiment on."""
    with model_at(here, writes(right())) as (server, environment):
        await here.serving(**environment)
        handle = await here.start(here.request("shared", engine=ENGINE, candidates=2, budget=Budget(calls=1)))
        result = await asyncio.wait_for(handle.result(), 150)
        assert result.status is ExperimentStatus.MERGED, result.reason
        assert server.calls == spent(here, "shared") == 1
        notices = (await handle.query(StrategyExperiment.progress)).notices
        assert [note for note in notices if "starter.py budget shared --calls 2" in note]
        none = await here.run(here.request("nothing", engine=ENGINE, candidates=2, budget=Budget(calls=0)))
        assert none.status is ExperimentStatus.ROLLED_BACK
        assert "starter.py budget nothing --calls 1" in none.reason
        assert server.calls == 1
    assert here.merges() == ["shared"]
    assert left_of_models(here) == []


# -- stopped


async def test_stopped_at_the_token_and_while_the_model_answers(here: Site) -> None:
    """By a decision, by Temporal, and by the deadline."""
    with model_at(here, by_engine({"small": writes(right()), "slow": hangs()})) as (server, environment):
        held = ["hold:before:issue_token@before", "hold:after:issue_token@after"]
        await here.serving(*held, **environment)
        handles: dict[str, Handle] = {}
        for name, engine in {
            "before": ENGINE,
            "after": ENGINE,
            "hangs": "openai:slow",
            "native": "openai:slow",
            "late": "openai:slow",
        }.items():
            timeout = timedelta(seconds=25) if name == "late" else timedelta(minutes=10)
            handles[name] = await here.start(here.request(name, engine=engine, timeout=timeout))
        for name in ("before", "after"):
            await here.held(f"issue_token@{name}")
        await here.until(lambda: server.calls == 3, "the model to be asked")
        assert Budgets(here.settings.records_url).holders() == ["hangs", "late", "native"]
        for name in ("before", "after", "hangs"):
            await handles[name].execute_update(StrategyExperiment.decide, CANCEL)
            here.let_go(f"issue_token@{name}")
        await handles["native"].cancel()
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handles.pop("native").result(), 120)
        for name, handle in handles.items():
            result = await asyncio.wait_for(handle.result(), 120)
            wanted = ExperimentStatus.ROLLED_BACK if name == "late" else ExperimentStatus.CANCELLED
            assert result.status is wanted, f"{name}: {result.reason}"
        assert "deadline" in result.reason
        assert server.calls == 3
    assert {name: spent(here, name) for name in ("hangs", "native", "late")} == dict.fromkeys(
        ("hangs", "native", "late"), 0
    )
    assert here.merges() == []
    assert left_of_models(here) == []


# -- models that don't help


async def test_refusals_and_answers_without_code_roll_back(here: Site) -> None:
    refuses = says(None, refusal="I can't help with trading.")
    answers: dict[str, tuple[Reply, str, int]] = {
        "refuses": (refuses, "I can't help with trading.", 1),
        "babbles": (says("Buy low, sell high."), "gave no code that can be used", 3),
        "refuses-to-fix": (in_turn(writes(late()), refuses), "conforms failed", 2),
        "repeats": (writes(late()), "conforms failed", 3),
    }
    with model_at(here, by_engine({name: reply for name, (reply, _, _) in answers.items()})) as (
        server,
        environment,
    ):
        await here.serving(**environment)
        handles = {name: await here.start(here.request(name, engine=f"openai:{name}")) for name in answers}
        for name, (_, reason, calls) in answers.items():
            result = await asyncio.wait_for(handles[name].result(), 150)
            assert result.status is ExperimentStatus.ROLLED_BACK, f"{name}: {result.reason}"
            assert reason in result.reason
            assert result.usage is not None, name
            assert result.usage.calls == calls, "what was paid for nothing counts too"
            assert f"{calls} call" in text_of(here, result)
            asked = [request for request in server.requests if request["model"] == name]
            assert len(asked) == spent(here, name) == calls, name
            row = here.records.experiment(name)
            assert row is not None
            assert row.status is ExperimentStatus.ROLLED_BACK
        for name, words in {"refuses-to-fix": "I can't help", "repeats": "again"}.items():
            (fix,) = events(here, name, "fix_made")
            assert fix["made"] is False
            assert words in fix["reason"]
    assert here.merges() == []
    assert left_of_models(here) == []


async def test_a_model_in_trouble_is_asked_again_and_a_refused_key_is_not(here: Site) -> None:
    busy = first_time(
        fails(429, "slow down", retry_after="1"), then=first_time(fails(500), then=writes(right()))
    )
    replies = {"busy": busy, "locked": fails(401, f"{KEY} is wrong", code="invalid_api_key")}
    with model_at(here, by_engine(replies)) as (server, environment):
        await here.serving(**environment)
        locked = await here.start(here.request("locked", engine="openai:locked"))
        result = await here.run(here.request("busy", engine="openai:busy"))
        assert result.status is ExperimentStatus.MERGED, result.reason
        assert result.usage is not None
        assert (result.usage.calls, spent(here, "busy")) == (1, 1)
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(locked.result(), 120)
        assert "the key in GENESIS_MODEL_KEY is refused" in str(failed.value.cause)
        assert KEY not in str(await locked.fetch_history())
        assert sorted(request["model"] for request in server.requests) == ["busy", "busy", "busy", "locked"]
    row = here.records.experiment("locked")
    assert row is not None
    assert row.status is ExperimentStatus.FAILED
    assert here.merges() == ["busy"]
    assert left_of_models(here) == []


# -- candidates


async def test_two_candidates_of_one_model_are_two_calls(here: Site) -> None:
    """The first that asks gets code that can't be repaired, the second the right code."""
    turn = threading.Lock()

    def model(handler: Handler) -> None:
        with turn:
            code = late() if taken == [] else right()
            taken.append(1)
        writes(code)(handler)

    taken: list[int] = []
    with model_at(here, model) as (server, environment):
        await here.serving(**environment)
        result = await here.run(here.request("two", engine=ENGINE, candidates=2, max_fixes=0))
        assert result.status is ExperimentStatus.MERGED, result.reason
        assert server.calls == spent(here, "two") == 2
        assert server.prompt(0) == server.prompt(1), "the same question, and two answers"
    assert result.usage is not None
    assert result.usage.calls == 2
    keys = [
        json.loads(file.read_text())["key"] for file in (here.home / "artifacts/calls/two").glob("*.json")
    ]
    assert sorted((key["candidate"], key["step"], key["ask"]) for key in keys) == [
        (1, "generate", 1),
        (2, "generate", 1),
    ]
    outcomes = {one["candidate"]: one["gates"]["conforms"] for one in events(here, "two", "gates_judged")}
    assert sorted(outcomes.values()) == ["failed", "passed"]
    (chosen,) = events(here, "two", "candidate_chosen")
    assert outcomes[chosen["candidate"]] == "passed"
    assert here.merges() == ["two"]
    assert left_of_models(here) == []
