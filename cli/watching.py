"""Watching an experiment: live on a terminal, a line a step elsewhere. All of it on stderr."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from cli.output import err, visible
from cli.session import Handle, Session, interruptible
from schemas.experiment import ExperimentResult, ExperimentStatus, Progress, Step, TimelineEntry
from schemas.gates import Gate, GateResult, Outcome

POLL_SECONDS = 0.15
UNSERVED_SECONDS = 8.0
"""After so long without a worker's answer this process becomes one."""

SHOWN_DETAILS = 3
"""Of a failed gate; the report has them all."""
_TRIED = (Step.GENERATE, Step.VALIDATE, Step.TRY_OUT, Step.FIX)
"""Steps that there are once for each attempt; the others are one for all."""
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
    """A line for each step that ended, and under it one for each gate that it asked; one for each place in line."""

    steps: int = 0
    told: set[str] = field(default_factory=set)

    def show(self, progress: Progress) -> None:
        self._steps(progress)
        if progress.in_line and progress.in_line not in self.told:
            err.print(Text(f"           waiting for a sandbox: {visible(progress.in_line)}"))
            self.told.add(progress.in_line)
        self.told |= {entry.summary for entry in progress.timeline}
        for notice in progress.notices:
            if notice not in self.told:
                err.print(Text(f"           ! {visible(notice)}"))
                self.told.add(notice)

    def _steps(self, progress: Progress) -> None:
        while self.steps < len(progress.timeline) and progress.timeline[self.steps].seconds is not None:
            entry = progress.timeline[self.steps]
            said = f"{entry.seconds:7.2f} s  {_named(entry)}  {visible(entry.summary)}"
            err.print(Text(said.rstrip()))
            self.steps += 1
            for gate in progress.gates:
                if _asked_in(entry, gate, progress.attempt):
                    for line in _gate(gate):
                        err.print(Text("           ").append(line))


def _named(entry: TimelineEntry) -> str:
    again = entry.attempt > 1 and entry.step in _TRIED
    return f"{entry.step} (attempt {entry.attempt})" if again else entry.step.value


def _asked_in(entry: TimelineEntry, gate: GateResult, attempt: int) -> bool:
    """Whether that step asked the gate; a contest shows those of the candidate that was chosen."""
    if entry.step is Step.CONTEST:
        return True
    return entry.attempt == attempt and entry.step is (
        Step.VALIDATE if gate.gate is Gate.VALID else Step.TRY_OUT
    )


def _gate(gate: GateResult) -> list[Text]:
    """The gate's line, and under one that failed what was found."""
    sign, style = _SIGNS[gate.outcome]
    found = gate.details[:SHOWN_DETAILS] if gate.outcome is Outcome.FAILED else []
    said = Text.assemble((f"{sign} {gate.gate:<20}", style), visible(gate.summary))
    return [said, *(Text(f"  {visible(detail)}", style="dim") for detail in found)]


def _picture(progress: Progress, started: float) -> RenderableType:
    lines: list[RenderableType] = []
    for entry in progress.timeline:
        if entry.seconds is None:
            text = f"{_named(entry)} … {time.monotonic() - started:.1f} s"
            lines.append(Spinner("dots", text=text, style="cyan"))
        else:
            said = f"✓ {_named(entry)}  {entry.seconds:.2f} s  {visible(entry.summary)}"
            lines.append(Text(said.rstrip(), style="dim"))
    if progress.in_line:
        lines.append(Text(f"  waiting for a sandbox: {progress.in_line}", style="yellow"))
    lines += [Text("    ").append(line) for gate in progress.gates for line in _gate(gate)]
    lines += [Text(f"! {visible(notice)}", style="yellow") for notice in progress.notices]
    return Group(*lines)


async def _ended(handle: Handle) -> Seen:
    try:
        return Seen(result=await handle.result())
    except WorkflowFailureError as error:
        cause = error.cause
        return Seen(failure=cause.message if isinstance(cause, ApplicationError) else str(cause))
