"""The sweep: what experiments left behind, and what became of it."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Shape, UtcTime

Seconds = Annotated[float, Field(ge=0)]


class SweepRequest(Shape):
    grace: Seconds = 60.0
    """What is younger, in seconds, is left alone: it may be about to be used or removed."""


class Holding(Shape):
    """Something that an experiment holds, or seems to."""

    kind: str
    """branch, sandbox, turn, workspace, token …; or record, an experiment that is open in the records."""
    name: str
    experiment_id: str
    host: str = ""
    """The worker that made it, by its name in task queues; empty where it doesn't matter."""
    leased_until: UtcTime | None = None
    """None where the records know no lease of it."""


class Holdings(Shape):
    """What the records and the library show, and whom to ask for sandboxes."""

    found: list[Holding]
    hosts: list[str] = []
    """Workers that hold sandboxes, or did so lately."""
    more: int = 0
    """How many more there are, for the next sweep."""
    problems: list[str] = []
    """What couldn't be looked at, and why."""


class RunsInput(Shape):
    experiment_ids: list[str]


class RunState(Shape):
    """What Temporal says of an experiment. `unknown`: this Temporal has no such run, or no longer."""

    experiment_id: str
    state: Literal["open", "ended", "unknown"]
    how: str = ""
    """How it ended: completed, failed, canceled, terminated, timed_out."""
    ended: UtcTime | None = None


class RunStates(Shape):
    runs: list[RunState]


class Orphan(Shape):
    """A holding without an open experiment, and why it is one."""

    holding: Holding
    reason: str
    run: RunState


class RemoveInput(Shape):
    orphans: list[Orphan]


class Swept(Shape):
    """One holding that was removed, or kept though its experiment isn't open."""

    kind: str
    name: str
    experiment_id: str
    host: str = ""
    reason: str


class Removals(Shape):
    removed: list[Swept] = []
    kept: list[Swept] = []


class SweepReport(Shape):
    """What one sweep did."""

    removed: list[Swept] = []
    kept: list[Swept] = []
    open_experiments: int = 0
    """How many experiments that hold something are open, and were left alone."""
    hosts: list[str] = []
    """Workers that were asked for their sandboxes and answered."""
    silent_hosts: list[str] = []
    more: int = 0
    problems: list[str] = []
