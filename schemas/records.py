"""Records: the events of experiments, and the rows that `list`, `audit` and `jobs` read."""

from typing import Annotated, Any

from pydantic import Field

from schemas.base import Shape, UtcTime
from schemas.experiment import ExperimentStatus


class Event(Shape):
    """One thing that happened to an experiment. `event_id` is the same on every retry; writing twice changes nothing.

    Events: experiment_opened, step_started, code_generated, code_adopted, code_validated, sandbox_created,
    sandbox_preserved, sandbox_cleaned_up, gates_judged, fix_made, lessons_recalled, lessons_learned, candidate_chosen,
    holdout_opened, result_weighed, recommended, decision_awaited, decision_taken, decision_refused, merge_started,
    merged, rolled_back, cancelled, failed, dry_run_ended, budget_changed, token_issued, tokens_revoked, report_written,
    queued, experiment_closed, swept.
    """

    event_id: str
    experiment_id: str
    sequence: Annotated[int, Field(ge=0)]
    at: UtcTime
    event: Annotated[str, Field(pattern=r"^[a-z_]+$", max_length=64)]
    actor: str = "genesis"
    status: ExperimentStatus | None = None
    """The state the experiment enters with this event; None leaves it."""
    data: dict[str, Any] = {}
    """Small: hashes, refs, numbers. experiment_opened carries strategy, data_sha256, data_name, engine, approval,
    requested_by, budget, whole_sha256 where bars are held back, and forked_from (a Fork) where the code was on record
    already; code_generated and code_adopted carry commit, code, entrypoint and engine; gates_judged carries
    attempt, commit, gates and metrics; holdout_opened carries whole_sha256, first and bars, and is recorded before the
    opening; result_weighed carries holdout_gates and evidence; recommended carries verdict and reason; merged carries
    commit and tag; sandbox_* carry sandbox_id, provider, and reason, size_bytes, seconds, peak_memory_mb where known;
    report_written carries report."""


class ExperimentRow(Shape):
    """One line of `list` and the head of `show`."""

    experiment_id: str
    strategy: str
    status: ExperimentStatus
    engine: str
    approval: str
    requested_by: str
    data_name: str
    attempts: int
    verdict: str | None
    reason: str | None
    judged_commit: str | None
    merged_commit: str | None
    tag: str | None
    opened: UtcTime
    closed: UtcTime | None
    metrics: dict[str, Any] = {}
    artifacts: dict[str, str] = {}
    """Kind to digest: report, code, diff, trades, definition, history …"""


class AuditRow(Shape):
    """One line of `audit`."""

    event_id: str
    experiment_id: str
    strategy: str
    sequence: int
    at: UtcTime
    event: str
    actor: str
    status_before: ExperimentStatus | None
    status_after: ExperimentStatus | None
    data: dict[str, Any] = {}


class SandboxRow(Shape):
    """One line of a sandbox's history."""

    sandbox_id: str
    experiment_id: str
    provider: str
    event: str
    """created, preserved or cleaned_up."""
    at: UtcTime
    reason: str | None = None
    size_bytes: int | None = None
    seconds: float | None = None
    metrics: dict[str, Any] = {}


class LeaseRow(Shape):
    """A resource that exists or may exist: written before it is made, released once it is gone."""

    kind: str
    """sandbox, branch, workspace, token; or turn, a place in the line for a sandbox."""
    name: str
    experiment_id: str
    host: str
    created: UtcTime
    expires: UtcTime
    released: UtcTime | None = None
