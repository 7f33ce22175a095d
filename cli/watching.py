"""Watching an experiment: live on a terminal, a line a step elsewhere. All of it on stderr."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from cli.output import err
from cli.session import Handle, Session, interruptible
from schemas.experiment import ExperimentResult, ExperimentStatus, Progress, Step
from schemas.gates import Gate, GateResult, Outcome

POLL_SECONDS = 0.15
UNSERVED_SECONDS = 8.0
"""After so long without a worker's answer this process becomes one."""

_SIGNS = {Outcome.PASSED: ("✓", "green"), Outcome.FAILED: ("✗", "red"), Outcome.NOT_RUN: ("·", "dim")}


@dataclass
class Seen:
    """How watching ended: with a result, at a decision that somebody has to take, or with a failure."""

    result: ExperimentResult | None = None
    waiting: Progress | None = None
    failure: str = ""
    """Why the run has no result: broken machinery, or a cancel or terminate from outside."""


async def watch(session: Session, handle: Handle, *, quiet: bool = False) -> Seen:
    """Follow until the experiment has ended or waits for a decision."""
    if quiet:
        return await _follow(session, handle, lambda progress: None)
    if err.is_terminal:
        with Live(console=err, refresh_per_second=10) as live:
            started = time.monotonic()
            return await _follow(session, handle, lambda progress: live.update(_picture(progress, started)))
    return await _follow(session, handle, _Lines().show)


async def _follow(session: Session, handle: Handle, show: Callable[[Progress], None]) -> Seen:
    unanswered_since = time.monotonic()
    while True:
        progress = await session.progress(handle)
        if progress is not None:
            unanswered_since = time.monotonic()
            show(progress)
            if progress.status is ExperimentStatus.WAITING:
                return Seen(waiting=progress)
        elif time.monotonic() - unanswered_since > UNSERVED_SECONDS:
            await session.serve()
            unanswered_since = time.monotonic()
        with interruptible():
            description = await handle.describe()
        if description.status is not WorkflowExecutionStatus.RUNNING:
            last = await session.progress(handle)
            if last is not None:
                show(last)
            return await _ended(handle)
        await asyncio.sleep(POLL_SECONDS)


@dataclass
class _Lines:
    """One line for each step that ended, and under it one for each gate that it asked."""

    steps: int = 0

    def show(self, progress: Progress) -> None:
        while self.steps < len(progress.timeline) and progress.timeline[self.steps].seconds is not None:
            entry = progress.timeline[self.steps]
            attempt = f" (attempt {entry.attempt})" if entry.attempt > 1 else ""
            err.print(Text(f"{entry.seconds:7.2f} s  {entry.step}{attempt}  {entry.summary}"))
            self.steps += 1
            if entry.attempt == progress.attempt:
                for gate in progress.gates:
                    if entry.step is (Step.VALIDATE if gate.gate is Gate.VALID else Step.TRY_OUT):
                        err.print(Text("           ").append(_gate(gate)))


def _gate(gate: GateResult) -> Text:
    sign, style = _SIGNS[gate.outcome]
    return Text.assemble((f"{sign} {gate.gate:<20}", style), gate.summary)


def _picture(progress: Progress, started: float) -> RenderableType:
    lines: list[RenderableType] = []
    for entry in progress.timeline:
        attempt = f" (attempt {entry.attempt})" if entry.attempt > 1 else ""
        if entry.seconds is None:
            text = f"{entry.step}{attempt} … {time.monotonic() - started:.1f} s"
            lines.append(Spinner("dots", text=text, style="cyan"))
        else:
            lines.append(
                Text(f"✓ {entry.step}{attempt}  {entry.seconds:.2f} s  {entry.summary}", style="dim")
            )
    if progress.in_line:
        lines.append(Text(f"  waiting for a sandbox: {progress.in_line}", style="yellow"))
    lines += [Text("    ").append(_gate(gate)) for gate in progress.gates]
    lines += [Text(f"! {notice}", style="yellow") for notice in progress.notices]
    return Group(*lines)


async def _ended(handle: Handle) -> Seen:
    try:
        return Seen(result=await handle.result())
    except WorkflowFailureError as error:
        return Seen(failure=str(error.cause))
