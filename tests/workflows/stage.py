"""A stage for workflows: every step is played by the test, so that it can be held, fail, or be looked at.

What a test doesn't play answers as if code were written that is never valid.
"""

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue
from temporalio.worker import Worker

from schemas.code import CodeMetadata
from schemas.experiment import ExperimentRequest, ExperimentResult
from schemas.gates import Gate, GateResult, Outcome
from schemas.market import DataSet
from schemas.memory import Learned, Recalled
from schemas.secrets import Issued, TokensGone
from schemas.steps import (
    BranchGone,
    BudgetReleased,
    Committed,
    FixOutput,
    HistoryExport,
    ReportOutput,
    SandboxGone,
    SandboxLease,
    Validated,
    Written,
)
from services.definitions import load_definition
from tests.support.site import ROOT
from workflows.bench import line_queue
from workflows.candidate import Candidate
from workflows.experiment import StrategyExperiment
from workflows.sweep import Sweep

DIGEST, COMMIT = "d" * 64, "c" * 40
Order = dict[str, Any]
Play = Callable[[Order], Any]
"""Takes the step's order as JSON and gives its result, or raises; may be a coroutine function."""
Handle = WorkflowHandle[StrategyExperiment, ExperimentResult]

_numbers = itertools.count(1)


def valid(outcome: Outcome) -> GateResult:
    return GateResult(gate=Gate.VALID, outcome=outcome, summary="as played")


def validated(order: Order, outcome: Outcome = Outcome.FAILED) -> Validated:
    return Validated(commit=order["commit"], code=DIGEST, gate=valid(outcome), metadata=CodeMetadata())


def committed(order: Order) -> Committed:
    return Committed(
        branch=order["branch"],
        commit=COMMIT,
        entrypoint="Alpha",
        engine=order["engine"],
        code=DIGEST,
        definition_digest=DIGEST,
        summary="as played",
    )


PLAYS: Mapping[str, Play] = {
    "record_events": lambda order: Written(new=len(order["events"])),
    "recall_lessons": lambda order: Recalled(),
    "learn_lessons": lambda order: Learned(),
    "generate_code": committed,
    "validate_code": validated,
    "fix_code": lambda order: FixOutput(committed=None, reason="nothing else to try"),
    "destroy_sandbox": lambda order: SandboxGone(existed=True),
    "delete_branch": lambda order: BranchGone(existed=True),
    "issue_token": lambda order: Issued(accessor=None),
    "revoke_tokens": lambda order: TokensGone(revoked=0),
    "release_budget": lambda order: BudgetReleased(reservations=0),
    "write_report": lambda order: ReportOutput(report=None, diff=None),
    "export_history": lambda order: HistoryExport(history=DIGEST),
}


class Stage:
    """`orders` are those that each step was given so far."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.queue = f"stage-{next(_numbers)}-{id(self)}"
        self.orders: dict[str, list[Order]] = {}

    @property
    def lease(self) -> SandboxLease:
        """A sandbox of this stage."""
        return SandboxLease(sandbox_id="s.1", provider="bubblewrap", image="image-7", queue=self.queue)

    def request(self, name: str, **more: Any) -> ExperimentRequest:
        data = DataSet(
            digest=DIGEST, name="GOOG", bars=100, start="2020-01-01", end="2020-04-09", interval="1d"
        )
        return ExperimentRequest(
            experiment_id=f"{name}-{self.queue}",
            definition=load_definition("RSI_Reversal", root=ROOT / "strategies").definition,
            data=data,
            **({"engine": "scripted"} | more),
        )

    async def start(self, request: ExperimentRequest) -> Handle:
        return await self.client.start_workflow(
            StrategyExperiment.run, request, id=request.experiment_id, task_queue=self.queue
        )

    @asynccontextmanager
    async def playing(self, **plays: Play) -> AsyncIterator[None]:
        """Run workflows and play their steps."""
        async with self.acting(**plays), self.telling():
            yield

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Run workflows; every task is a replay."""
        workflows = [StrategyExperiment, Candidate, Sweep]
        async with Worker(self.client, task_queue=self.queue, workflows=workflows, max_cached_workflows=0):
            yield

    @asynccontextmanager
    async def acting(self, **plays: Play) -> AsyncIterator[None]:
        """Play the steps, those that are given in place of the usual ones."""
        known = {**PLAYS, **plays}

        @activity.defn(dynamic=True)
        async def step(arguments: Sequence[RawValue]) -> Any:
            name = activity.info().activity_type
            (order,) = activity.payload_converter().from_payloads([arguments[0].payload])
            self.orders.setdefault(name, []).append(order)
            played = known[name](order)
            return await played if inspect.isawaitable(played) else played

        async with (
            Worker(self.client, task_queue=self.queue, activities=[step]),
            Worker(self.client, task_queue=line_queue(self.queue), activities=[step]),
        ):
            yield


async def until(reached: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Ask again until it is true; `reached` may be a coroutine function. What it then was."""
    async with asyncio.timeout(seconds):
        while True:
            found = reached()
            found = await found if inspect.isawaitable(found) else found
            if found:
                return found
            await asyncio.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")
