"""What goes into each activity and what comes out: one shape each way, small enough for history."""

from typing import Annotated

from pydantic import Field

from schemas.base import Shape, UtcTime
from schemas.budget import Budget
from schemas.code import CodeMetadata, Digest, Finding, Sha
from schemas.definition import StrategyDefinition
from schemas.experiment import ExperimentRequest, ExperimentResult, Fork
from schemas.gates import GateReport, GateResult
from schemas.holdout import HoldoutReport
from schemas.records import Event
from schemas.sandbox import Limits, ProviderName
from schemas.secrets import IssueInput, SecretName
from schemas.trading import Costs, Metrics
from schemas.usage import Usage


class GenerateInput(Shape):
    experiment_id: str
    definition: StrategyDefinition
    data: Digest
    engine: str
    candidate: int = 0
    """Its number where several are written side by side."""
    branch: str
    lease_seconds: float
    """How long the branch may live without an open experiment."""
    budget: Budget = Budget()
    access: IssueInput | None = None
    """What may be read of the secrets; None where nothing is needed."""
    recalled: Digest | None = None
    """Artifact: a JSON list of `Lesson`."""


class AdoptInput(Shape):
    experiment_id: str
    definition: StrategyDefinition
    data: Digest
    branch: str
    lease_seconds: float
    fork: Fork


class Tried(Shape):
    """An earlier try of the same experiment."""

    attempt: Annotated[int, Field(ge=1)]
    commit: Sha
    gates: list[GateResult]
    """Those that it failed."""


class FixInput(GenerateInput):
    """The same of a repair, and what is to be repaired."""

    attempt: Annotated[int, Field(ge=1)]
    commit: Sha
    """What is to be repaired."""
    entrypoint: str
    failures: list[str]
    gates: list[GateResult] = []
    """The failed gates in full."""
    earlier: list[Tried] = []
    """Oldest first, without what is to be repaired."""


class Committed(Shape):
    """Code on a branch."""

    branch: str
    commit: Sha
    entrypoint: str
    engine: str
    code: Digest
    files: Digest | None = None
    """Artifact: a JSON object, name to text, of the files beside the code; None where there is none."""
    definition_digest: Digest
    """Artifact: the definition in its canonical form."""
    summary: str
    usage: Usage | None = None
    """What it cost to write; None where no model was asked."""
    prompt: Digest | None = None
    """Of the prompt files that a model was asked with."""


class FixOutput(Shape):
    """`committed` is None where the engine can't repair this; `reason` says why, or what was changed."""

    committed: Committed | None
    reason: str
    usage: Usage | None = None
    """What was asked to come to this, also where nothing was made."""


class ValidateInput(Shape):
    experiment_id: str
    strategy: str
    branch: str
    commit: Sha
    entrypoint: str
    attempt: int
    secrets: list[SecretName] = []
    """What the definition asks for, and its code may read from the environment."""


class Validated(Shape):
    commit: Sha
    """The formatted code's commit; the same as before where nothing was to be formatted."""
    code: Digest
    gate: GateResult
    metadata: CodeMetadata
    findings: list[Finding] = []
    """The first ten."""


class LeaseInput(Shape):
    experiment_id: str
    provider: ProviderName | None
    limits: Limits
    round: int
    """Counts the leases of one experiment: a lost sandbox is replaced by the next round's."""
    lease_seconds: float


class SandboxLease(Shape):
    sandbox_id: str
    provider: ProviderName
    image: str
    """What the sandbox is made of, for the merge's trailer."""
    queue: str
    """The task queue of the host that holds it."""


class SandboxesBusy(Shape):
    """No sandbox yet: the experiment stands in line. Ask again; whoever doesn't for a while is passed over."""

    place: Annotated[int, Field(ge=1)]
    """1 comes next."""
    host: str
    """Who was asked, and has no room for this place."""
    most: Annotated[int, Field(ge=1)]
    """How many sandboxes that host may have."""


LeaseAnswer = SandboxLease | SandboxesBusy


class TryOutInput(Shape):
    experiment_id: str
    sandbox_id: str
    definition: StrategyDefinition
    commit: Sha
    entrypoint: str
    data: Digest
    costs: Costs
    attempt: int
    valid: GateResult
    """The validation's gate, first in the report."""
    trial_timeout: float
    access: IssueInput | None = None
    """By which the secrets are read that the definition asks for; None where it asks for none."""


class HoldoutInput(TryOutInput):
    """One run on all bars: `data` is the whole, and `attempt` and `valid` those of the try-out that passed."""

    first: Annotated[int, Field(ge=1)]
    """The holdout's first bar."""
    trades: Digest
    """Artifact: the rows of the run on the bars before it."""


class WeighInput(Shape):
    experiment_id: str
    strategy: str
    engine: str = ""
    """Who wrote the code."""
    attempt: int
    data: Digest
    """What was tried on."""
    trades: Digest
    """Artifact: the rows of the judged run on it."""
    holdout: HoldoutReport | None
    costs: Costs
    as_of: UtcTime
    """What was recorded later isn't counted, so that a repeated step gives the same."""


class SandboxRef(Shape):
    """All sandboxes that one experiment leased on the host that is asked."""

    experiment_id: str


class SandboxGone(Shape):
    """What became of them."""

    existed: bool
    peak_memory_mb: float | None = None


class BranchRef(Shape):
    experiment_id: str
    branch: str


class BranchGone(Shape):
    existed: bool


class BudgetRef(Shape):
    """All that one experiment has reserved."""

    experiment_id: str


class BudgetReleased(Shape):
    """How many reservations were still open; 0 where all were settled."""

    reservations: int


class MergeInput(Shape):
    experiment_id: str
    strategy: str
    commit: Sha
    subject: str
    body: str
    definition_digest: Digest
    data: Digest
    engine: str
    image: str
    forked_from: str = ""
    """The experiment whose code was taken up; empty where an engine was asked."""
    metrics: Metrics


class EventBatch(Shape):
    events: list[Event]


class Written(Shape):
    """How many events were new."""

    new: int


class ReportInput(Shape):
    request: ExperimentRequest
    result: ExperimentResult
    report: GateReport | None
    sandbox: SandboxLease | None
    branch_commit: Sha | None
    budget: Budget = Budget()
    """As it stands now; the request has what it began with."""


class ReportOutput(Shape):
    report: Digest | None
    diff: Digest | None


class HistoryExport(Shape):
    history: Digest


class ExportInput(Shape):
    experiment_id: str
