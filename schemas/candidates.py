"""Candidates: several versions of a strategy's code, written side by side, of which the best goes on."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from schemas.base import Shape
from schemas.experiment import MOST_CANDIDATES, ExperimentRequest
from schemas.gates import GateReport
from schemas.memory import GivenLesson
from schemas.records import Event
from schemas.secrets import IssueInput
from schemas.steps import Committed, SandboxLease
from schemas.usage import Usage

Number = Annotated[int, Field(ge=1, le=MOST_CANDIDATES)]


class CandidateOrder(Shape):
    """Starts one candidate, a child of its experiment's run. `request` is the experiment's, with the one engine that is
    to write."""

    request: ExperimentRequest
    number: Number
    time_left: timedelta
    access: IssueInput | None = None
    """The experiment's."""


class CandidateNews(Shape):
    """What a candidate tells the experiment as it happens."""

    number: Number
    events: list[Event]


class CandidateOutcome(Shape):
    """What a candidate came to; without a report it never came to be judged, and `problem` says why."""

    number: Number
    engine: str
    attempts: int
    code: Committed | None = None
    report: GateReport | None = None
    sandbox: SandboxLease | None = None
    """Where its code was tried last; None where it never was."""
    lessons: list[GivenLesson] = []
    usage: Usage | None = None
    problem: str = ""
    unmade: bool = False
    """Whether it ended for want of usable code or of budget: an expected outcome."""
