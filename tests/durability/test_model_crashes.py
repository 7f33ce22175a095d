"""Killed around a call of a model, or what goes with it, an experiment ends as it would have: nothing is paid twice,
learnt twice or left over.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from schemas.experiment import ExperimentStatus
from tests.support.model import (
    ANSWERS,
    ENGINE,
    first_time,
    left_of_models,
    lessons_of,
    memory_at,
    model_at,
    runs,
    spent,
)
from tests.support.openai_server import Reply
from tests.support.site import Site
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

NewSite = Callable[[], Coroutine[Any, Any, Site]]

KILLED = {
    "issue_token": ("before", "inside", "after"),
    "revoke_tokens": ("before", "inside", "after"),
    "release_budget": ("before", "inside", "after"),
    "generate_code": ("before", "inside", "settle", "commit_files", "after"),
    "fix_code": ("before", "inside", "settle", "commit_files", "after"),
}
"""Between `settle` and `after`, what the answer cost is known on disk, and nowhere else."""


async def test_a_worker_killed_around_a_call_pays_it_once(new_site: NewSite) -> None:
    """Each case has a site and a worker of its own; most of the time is spent waiting, so all at once."""

    async def around(step: str) -> tuple[str, str]:
        site, places = await new_site(), KILLED[step]
        plan = [f"kill:{place}:{step}" for place in places]
        return step, await _survives(site, step, ANSWERS, *plan, deaths=len(places), made=range(2, 3))

    async def during() -> tuple[str, str]:
        """Nobody knows what became of such a request: it is made once more, and counted once."""
        site, name = await new_site(), "in-flight"

        def killed() -> None:
            os.kill(site.processes[-1].pid, signal.SIGKILL)

        model = first_time(runs(killed, ANSWERS), then=ANSWERS)
        return name, await _survives(site, name, model, deaths=2, made=range(4, 5))

    async def side_by_side() -> tuple[str, str]:
        """What kills the one's worker may break off the other's request."""
        site, name = await new_site(), "candidates"
        plan = [f"kill:after:generate_code@{name}-c1", f"kill:commit_files:fix_code@{name}-c2"]
        told = await _survives(site, name, ANSWERS, *plan, deaths=2, made=range(4, 7), candidates=2)
        return name, told

    problems = dict(await asyncio.gather(*map(around, KILLED), during(), side_by_side()))
    assert {case: problem for case, problem in problems.items() if problem} == {}


async def _survives(
    site: Site, name: str, model: Reply, *plan: str, deaths: int, made: range, candidates: int = 1
) -> str:
    """Empty where the experiment merged once, paid two calls a candidate and left nothing; else what is wrong."""
    with model_at(site, model) as (server, environment):
        async with site.worker_that_is_replaced(*plan, **environment) as died:
            request = site.request(name, engine=ENGINE, candidates=candidates)
            result = await site.run(request, seconds=250)
            told = len(died)
    if result.status is not ExperimentStatus.MERGED or site.merges() != [name]:
        return f"ended {result.status}: {result.reason}; merged {site.merges()}"
    if told != deaths:
        return f"the worker died {told} times, not {deaths}"
    if server.calls not in made or spent(site, name) != 2 * candidates:
        return f"{server.calls} calls were made, and {spent(site, name)} are on the account"
    if result.usage is None or result.usage.calls != 2 * candidates:
        return f"the result says {result.usage}"
    return ", ".join(left_of_models(site))


async def test_killed_while_it_recalls_or_learns_each_lesson_counts_once(here: Site) -> None:
    """Memory's steps are tried twice: what dies in both goes without, what dies in one has its lesson, counted once."""
    kills = {
        "before-and-inside": ["kill:before:recall_lessons", "kill:inside:recall_lessons"],
        "after": ["kill:after:recall_lessons", "kill:after:learn_lessons"],
        "inside": ["kill:inside:learn_lessons"],
    }
    plan = [f"{kill}@{name}" for name, some in kills.items() for kill in some]
    with memory_at(here), model_at(here, ANSWERS) as (server, environment):
        async with here.worker_that_is_replaced(*plan, GENESIS_MEMORY="true", **environment) as deaths:
            for count, (name, some) in enumerate(kills.items(), start=1):
                before = len(deaths)
                result = await here.run(here.request(name, engine=ENGINE), seconds=200)
                assert result.status is ExperimentStatus.MERGED, result.reason
                assert len(deaths) - before == len(some), name
                (lesson,) = lessons_of(here)
                assert (lesson.seen, lesson.worked) == (count, count), name
        assert server.calls == 6
    assert here.merges() == list(kills)
    assert left_of_models(here) == []


async def test_every_step_carried_out_twice(here: Site) -> None:
    with memory_at(here), model_at(here, ANSWERS) as (server, environment):
        await here.serving("twice:all:*", GENESIS_MEMORY="true", **environment)
        for count, name in enumerate(("first", "second"), start=1):
            handle = await here.start(here.request(name, engine=ENGINE))
            result = await asyncio.wait_for(handle.result(), 120)
            assert result.status is ExperimentStatus.MERGED, result.reason
            assert (await handle.query(StrategyExperiment.progress)).notices == []
            assert server.calls == 2 * count
            assert spent(here, name) == 2
            (lesson,) = lessons_of(here)
            assert (lesson.seen, lesson.worked) == (count, count)
        # recalled for the first code, which it didn't help, and for the repair, which it did
        assert [(given.attempt, given.helped) for given in result.lessons] == [(1, False), (2, True)]
        assert (lesson.recalled, lesson.helped) == (2, 1)
    assert here.merges() == ["first", "second"]
    assert left_of_models(here) == []
