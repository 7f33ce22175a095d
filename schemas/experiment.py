"""One experiment: what is asked for, where it stands, what it came to."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.base import Shape, UtcTime
from schemas.budget import Budget
from schemas.code import Digest, Sha
from schemas.definition import Name, StrategyDefinition, Thresholds
from schemas.gates import GateResult
from schemas.holdout import Evidence, Holdout, HoldoutReport
from schemas.market import DataSet
from schemas.memory import GivenLesson
from schemas.sandbox import Limits, ProviderName
from schemas.trading import Costs, Metrics
from schemas.usage import Usage

MOST_CANDIDATES = 16
"""Of all engines together."""


def _branch_part(text: str) -> str:
    """Branches are named after it, and git has its own mind of dots."""
    if ".." in text or text.endswith((".", ".lock")):
        raise ValueError(
            f"'{text}' can't be part of a branch's name: it holds '..', or ends in '.' or '.lock'"
        )
    return text


ExperimentId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"), AfterValidator(_branch_part)
]


class ApprovalPolicy(StrEnum):
    # What fails a gate is rolled back under each of them.
    AUTO = "auto"  # merges on `merge`, waits for a person on `merge_with_adaptations`
    MANUAL = "manual"  # waits on both
    DRY_RUN = "dry-run"  # judges, never merges


class ForkStep(StrEnum):
    """Which code of another experiment a fork takes up."""

    GENERATED = "generated"  # the first that the engine wrote
    JUDGED = "judged"  # what was judged last, or chosen of several


class Fork(Shape):
    """Code that is on record already, taken up instead of asking an engine."""

    experiment_id: ExperimentId
    step: ForkStep
    attempt: Annotated[int, Field(ge=1)]
    """As that experiment counts them."""
    commit: Sha
    code: Digest
    files: Digest | None = None
    """Artifact: a JSON object, name to text, of the files beside the code."""
    entrypoint: Name
    engine: str
    """Who wrote it."""

    def __str__(self) -> str:
        return f"{self.experiment_id}, the code {self.step} at attempt {self.attempt} by {self.engine}"


class ExperimentRequest(Shape):
    """Starts one experiment; small enough for history, and complete: a replay needs nothing else."""

    experiment_id: ExperimentId
    definition: StrategyDefinition
    data: DataSet
    """All that is known of the market until the decision: with a holdout, the bars before it."""
    holdout: Holdout | None = None
    """What is sealed until then; None where nothing is held back."""
    engine: str = "offline"
    engines: Annotated[list[str], Field(max_length=MOST_CANDIDATES)] = []
    """Where several write side by side; `engine` is the first of them then."""
    candidates: Annotated[int, Field(ge=1, le=MOST_CANDIDATES)] = 1
    """How many versions each engine writes side by side; the best one goes on."""
    fork: Fork | None = None
    """What is begun with instead of asking `engine`, which then only repairs."""
    approval: ApprovalPolicy = ApprovalPolicy.AUTO
    max_fixes: Annotated[int, Field(ge=0, le=20)] = 3
    budget: Budget = Budget()
    """What calls of models may use, all candidates together; changeable while it runs."""
    timeout: Annotated[timedelta, Field(gt=timedelta(seconds=1), le=timedelta(days=30))] = timedelta(hours=1)
    thresholds: Thresholds = Thresholds()
    """Beside the definition's own; where both set one, the stricter holds."""
    costs: Costs = Costs()
    sandbox: ProviderName | None = None
    """None takes the first that works."""
    limits: Limits = Limits()
    trial_timeout: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Seconds for one trial."""
    requested_by: str = "unknown"

    @property
    def writers(self) -> list[str]:
        """The engine of each candidate; more than one of them work side by side."""
        return (self.engines or [self.engine]) * self.candidates

    @model_validator(mode="after")
    def _writers_are_few(self) -> Self:
        if len(self.writers) > MOST_CANDIDATES:
            raise ValueError(
                f"candidates: {len(self.writers)} in all; at most {MOST_CANDIDATES} can be written side by side"
            )
        return self

    @model_validator(mode="after")
    def _fork_is_one(self) -> Self:
        if self.fork and len(self.writers) > 1:
            raise ValueError("fork: a fork begins with one code; several can't be written beside it")
        return self

    @model_validator(mode="after")
    def _holdout_follows(self) -> Self:
        if self.holdout and self.data.bars + self.holdout.bars != self.holdout.whole.bars:
            raise ValueError(
                f"holdout: {self.data.bars} bars and {self.holdout.bars} held back aren't the "
                f"{self.holdout.whole.bars} of the whole data"
            )
        return self


class Step(StrEnum):
    """Where an experiment is; what a person sees."""

    OPEN = "open"
    GENERATE = "generate"
    VALIDATE = "validate"
    TRY_OUT = "try out"
    FIX = "fix"
    CONTEST = "contest"
    WEIGH = "weigh"
    RECOMMEND = "recommend"
    DECIDE = "decide"
    MERGE = "merge"
    CLOSE = "close"


class ExperimentStatus(StrEnum):
    """The record's state. Allowed transitions are in domain.lifecycle."""

    RUNNING = "running"
    WAITING = "waiting"  # for a person's decision
    MERGING = "merging"
    MERGED = "merged"
    ROLLED_BACK = "rolled_back"  # by recommendation, rejection or deadline
    CANCELLED = "cancelled"
    DRY_RUN = "dry_run"  # judged, kept out of the library on request
    FAILED = "failed"  # broken machinery


class Verdict(StrEnum):
    MERGE = "merge"
    MERGE_WITH_ADAPTATIONS = "merge_with_adaptations"
    ROLLBACK = "rollback"


class Recommendation(Shape):
    verdict: Verdict
    reason: str
    adaptations: list[str] = []
    """What to adapt, where the verdict is merge_with_adaptations."""


class DecisionAction(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"


class Decision(Shape):
    """A person's word. `commit` binds it to what was judged; None means 'what you show me now'."""

    action: DecisionAction
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")] | None = None
    by: Annotated[str, Field(min_length=1, max_length=200)] = "unknown"
    comment: Annotated[str, Field(max_length=2000)] = ""


class DecisionReceipt(Shape):
    """The answer to a decision that was taken."""

    experiment_id: str
    action: DecisionAction
    commit: str | None
    message: str


class TimelineEntry(Shape):
    """One finished or running step, for progress, bench and report."""

    step: Step
    attempt: int = 0
    started: UtcTime
    seconds: float | None = None
    summary: str = ""


class Progress(Shape):
    """What a query of a running experiment answers."""

    experiment_id: str
    strategy: str
    status: ExperimentStatus
    step: Step
    attempt: int
    max_fixes: int
    commit: str | None = None
    gates: list[GateResult] = []
    recommendation: Recommendation | None = None
    waiting_until: UtcTime | None = None
    timeline: list[TimelineEntry] = []
    in_line: str | None = None
    """Its place in the line for a sandbox, in words, while it waits for one."""
    usage: Usage | None = None
    """What models have used so far; None where none was asked."""
    notices: list[str] = []
    """Refused messages, retries worth knowing: newest last, at most 20."""


class ExperimentResult(Shape):
    """What an experiment came to. Small: code, trades and curves are artifacts."""

    experiment_id: str
    strategy: str
    status: ExperimentStatus
    reason: str
    recommendation: Recommendation | None = None
    attempts: int = 0
    judged_commit: Sha | None = None
    merged_commit: Sha | None = None
    tag: str | None = None
    gates: list[GateResult] = []
    metrics: Metrics | None = None
    stressed: Metrics | None = None
    """The same trades at twice the costs."""
    holdout: HoldoutReport | None = None
    """None where nothing was held back, or it stayed sealed because a gate failed."""
    evidence: Evidence | None = None
    """None where a gate failed."""
    engine: str = ""
    """Who wrote the code."""
    forked_from: Fork | None = None
    """What was begun with, where no engine was asked for it."""
    usage: Usage | None = None
    """What models used; None where none was asked."""
    lessons: list[GivenLesson] = []
    """What was recalled for the code that was judged last, and for its earlier attempts."""
    trades: Digest | None = None
    report: Digest | None = None
    """Artifact: the HTML report."""
    code: Digest | None = None
    """Artifact: the latest code, which was judged unless the experiment ended before."""
    diff: Digest | None = None
    """Artifact: its diff against the library."""
    definition_digest: Digest | None = None
    data: Digest | None = None
    timeline: list[TimelineEntry] = []
