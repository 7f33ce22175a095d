"""Killed at any point, an experiment ends as it would have, with exactly one merge and nothing left over.

Real worker processes are killed with SIGKILL before, inside and after every step, and replaced.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from activities.accounting import Accounting
from activities.authoring import Authoring
from activities.guarding import Guarding
from activities.merging import Merging
from activities.recording import Recording
from activities.remembering import Remembering
from activities.trying import Trying
from activities.weighing import Weighing
from schemas.experiment import ExperimentStatus
from tests.durability.test_model_crashes import KILLED
from tests.support.scripts import wrong_then_right
from tests.support.site import Site

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

STEPS = [
    "generate_code",
    "validate_code",
    "lease_sandbox",
    "try_out",
    "fix_code",
    "open_holdout",
    "weigh_result",
    "destroy_sandbox",
    "merge_strategy",
    "delete_branch",
    "record_events",
    "write_report",
    "export_history",
]


def test_no_step_is_left_out() -> None:
    """Of those that belong to an experiment; the sweep has its own tests."""
    killed = {*STEPS, *KILLED, "recall_lessons", "learn_lessons", "adopt_code"}
    rooms = [Authoring, Trying, Weighing, Remembering, Guarding, Accounting, Merging, Recording]
    steps = {
        name
        for room in rooms
        for name, made in vars(room).items()
        if hasattr(made, "__temporal_activity_definition")
    }
    assert steps == killed


async def test_a_worker_killed_before_inside_and_after_every_step(
    new_site: Callable[[], Coroutine[Any, Any, Site]],
) -> None:
    """Each step has a site and a worker of its own; most of the time is spent waiting, so all at once."""

    async def one(step: str) -> tuple[str, str]:
        return step, await _survives(await new_site(), step)

    problems = dict(await asyncio.gather(*(one(step) for step in STEPS)))
    assert {step: problem for step, problem in problems.items() if problem} == {}


async def _survives(site: Site, step: str) -> str:
    """Empty where the experiment merged once and left nothing; else what is wrong."""
    (site.home / "script.json").write_text(wrong_then_right())
    plan = [f"kill:{place}:{step}" for place in ("before", "inside", "after")]
    async with site.worker_that_is_replaced(*plan) as deaths:
        result = await site.run(site.request(f"crash-{step}", engine="scripted", holdout=0.2), seconds=180)
        # Nothing more is to come: the next worker finds no work.
        died = len(deaths)
    if result.status is not ExperimentStatus.MERGED:
        return f"ended {result.status}: {result.reason}"
    if died != 3:
        return f"the worker died {died} times, not before, inside and after the step"
    if site.merges() != [f"crash-{step}"]:
        return f"merges: {site.merges()}"
    row = site.records.experiment(f"crash-{step}")
    if row is None or row.status is not ExperimentStatus.MERGED or row.merged_commit != result.merged_commit:
        return f"the record says {row}"
    opened = site.records.audit(experiment=f"crash-{step}", event="holdout_opened")
    if len(opened) != 1 or result.holdout is None or not result.holdout.passed:
        return f"the holdout was opened {len(opened)} times on the record, and came to {result.holdout}"
    if result.evidence is None or result.evidence.tries != 2:
        return f"not two tries: {result.evidence}"
    return ", ".join(site.left_over())
