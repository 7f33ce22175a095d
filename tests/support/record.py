"""Record the histories of tests/replay anew: real runs of every ending, on a real server.

    python -m tests.support.record DIRECTORY

Do this when the story changes on purpose and no run of the old story is left; until then a change that breaks the old
histories needs `workflow.patched`.
"""

import asyncio
import os
import signal
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowFailureError

from schemas.budget import Budget
from schemas.definition import Thresholds
from schemas.experiment import ApprovalPolicy, Decision, DecisionAction, ForkStep
from services.artifacts import Artifacts
from services.forks import Origin
from services.temporal.server import embedded_server
from tests.support.model import ANSWERS, ENGINE, model_at
from tests.support.scripts import invalid_code, right_code, script, wrong_code
from tests.support.site import ROOT, Handle, Site, site
from tests.support.temporal import Place
from workflows.experiment import StrategyExperiment

MANUAL = ApprovalPolicy.MANUAL


def word(action: DecisionAction) -> Decision:
    return Decision(action=action, by="recorder", comment="recorded")


async def scenarios(here: Site, environment: dict[str, str]) -> dict[str, Handle]:
    """Every ending, and what is told apart on the way to one."""
    (here.home / "script.json").write_text(script(invalid_code(), wrong_code(), right_code()[0]))
    here.plan("fail:before:merge_strategy@failed-merge", "kill:inside:try_out@merged-lost-sandbox")
    worker = await here.serving(**environment)

    async def start(name: str, **more: Any) -> Handle:
        return await here.start(here.request(name, **more))

    other = here.request("approved-too-late", approval=MANUAL)
    told = other.definition.model_copy(update={"description": "Not what the others merge."})
    late = await here.start(other.model_copy(update={"definition": told}))
    await here.until_status(late, "waiting")
    handles = {
        "approved-too-late": late,
        "merged-auto": await start("merged-auto", holdout=0.2),
        "merged-long-short": await start("merged-long-short", strategy="EMA_Long_Short"),
        "fixed-twice": await start("fixed-twice", engine="scripted"),
        "rolled_back-no-fix-left": await start("rolled_back-no-fix-left", engine="scripted", max_fixes=1),
        "failed-merge": await start("failed-merge"),
        "model": await start("model", engine=ENGINE, budget=Budget(calls=4, tokens=200_000)),
        "contest": await start("contest", engine=ENGINE, engines=[ENGINE, "scripted"], max_fixes=2),
        "past-its-deadline": await start("past-its-deadline", approval=MANUAL, timeout=timedelta(seconds=20)),
    }
    waiting = {
        "approved-manually": DecisionAction.APPROVE,
        "rejected-manually": DecisionAction.REJECT,
        "cancelled-while-waiting": DecisionAction.CANCEL,
    }
    for name, action in waiting.items():
        handles[name] = await start(name, approval=MANUAL)
        await here.until_status(handles[name], "waiting")
        await handles[name].execute_update(StrategyExperiment.decide, word(action))
    handles["approved-adaptations"] = await start(
        "approved-adaptations", thresholds=Thresholds(min_trades=1000), holdout=0.2
    )
    await here.until_status(handles["approved-adaptations"], "waiting")
    await handles["approved-adaptations"].signal(StrategyExperiment.cancel, args=[[1]])
    await handles["approved-adaptations"].signal(StrategyExperiment.approve)
    handles["cancelled-by-temporal"] = await start("cancelled-by-temporal", approval=MANUAL)
    await here.until_status(handles["cancelled-by-temporal"], "waiting")
    await handles["cancelled-by-temporal"].cancel()
    await handles["merged-auto"].result()
    await late.execute_update(StrategyExperiment.decide, word(DecisionAction.APPROVE))
    for handle in handles.values():
        try:
            await handle.result()
        except WorkflowFailureError as error:
            print(f"{handle.id}: {error.cause}")
    artifacts = Artifacts(here.home / "artifacts")
    fork = Origin("fixed-twice", here.records, artifacts, here.library).code(ForkStep.GENERATED)
    handles["forked"] = await start("forked", engine="scripted", fork=fork)
    await handles["forked"].result()
    handles["merged-lost-sandbox"] = await start("merged-lost-sandbox")
    await asyncio.to_thread(worker.wait)
    assert (
        worker.returncode == -signal.SIGKILL
    ), f"pid {os.getpid()} saw the worker end with {worker.returncode}"
    await here.serving(**environment)
    await handles["merged-lost-sandbox"].result()
    candidates = {name: here.client.get_workflow_handle(name) for name in ("contest-c1", "contest-c2")}
    return handles | candidates


def portable(history: str) -> str:
    """Stack traces name files; where they lie on this machine is nobody's business."""
    return history.replace(f"{ROOT}/", "").replace(f"{sys.base_prefix}/", "")


async def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        async with embedded_server(Path(scratch) / "temporal.db", port=0) as server:
            here = await site(Path(scratch) / "home", Place(server.address))
            try:
                with model_at(here, ANSWERS) as (_, environment):
                    handles = await scenarios(here, environment)
                for old in folder.glob("*.json"):
                    old.unlink()
                for name, handle in handles.items():
                    (folder / f"{name}.json").write_text(portable((await handle.fetch_history()).to_json()))
                    print(name)
            finally:
                here.end_workers()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
