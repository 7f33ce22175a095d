"""From an experiment's events to its rows: a pure function, so that rows can always be made again."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from domain.lifecycle import allowed, is_final, next_states
from schemas.experiment import ExperimentStatus
from schemas.records import Event
from services.records.errors import IllegalTransition, RecordsError
from services.records.tables import Audit, Experiment, Metric, SandboxHistory

OPENED = "experiment_opened"
"""The event that says whose experiment it is. Others may stand before it, but none is recorded without it."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ARTIFACTS = ("report", "code", "diff", "trades", "output", "workspace", "definition", "history")
_EXPLAINING = (
    "recommended",
    "merged",
    "rolled_back",
    "cancelled",
    "failed",
    "dry_run_ended",
    "experiment_closed",
    "swept",
)
_SANDBOX = "sandbox_"
_SANDBOX_COLUMNS = ("sandbox_id", "provider", "reason", "size_bytes", "seconds")


@dataclass(frozen=True)
class Projection:
    """The rows of one experiment."""

    experiment: Experiment
    metrics: list[Metric]
    sandboxes: list[SandboxHistory]
    audit: list[Audit]


def in_order(events: Iterable[Event]) -> list[Event]:
    """By sequence; of two with the same number, by id."""
    return sorted(events, key=lambda event: (event.sequence, event.event_id))


def project(events: Sequence[Event]) -> Projection:
    """The rows that follow from all events of one experiment, given in order.

    Raises RecordsError where none or two of them are its opening, IllegalTransition where a state can't follow.
    """
    openings = [event for event in events if event.event == OPENED]
    if not openings:
        raise RecordsError(
            f"event {events[0].event} of experiment {events[0].experiment_id} came without its {OPENED}; record that "
            "one first, or in the same batch"
        )
    if len(openings) > 1:
        raise RecordsError(
            f"experiment {events[0].experiment_id} was opened already (event {openings[0].event_id}); start another "
            "experiment under an id of its own"
        )
    experiment = _opened(openings[0])
    metrics: dict[int, Metric] = {}
    sandboxes: list[SandboxHistory] = []
    audit: list[Audit] = []
    status: ExperimentStatus | None = None
    for event in events:
        before, status = status, _enter(status, event)
        experiment.status = status or ExperimentStatus.RUNNING
        _note(experiment, event)
        if event.event == "gates_judged":
            metric = _metric(event, experiment.attempts)
            metrics[metric.attempt] = metric
            experiment.attempts = len(metrics)
        if event.event.startswith(_SANDBOX):
            sandboxes.append(_sandbox(event))
        audit.append(_audit(event, experiment.strategy, before, status))
    return Projection(experiment, list(metrics.values()), sandboxes, audit)


def _enter(before: ExperimentStatus | None, event: Event) -> ExperimentStatus | None:
    after = event.status or before or (ExperimentStatus.RUNNING if event.event == OPENED else None)
    if after and not allowed(before, after):
        possible = ", ".join(sorted(next_states(before))) or "nothing, it has ended"
        raise IllegalTransition(
            event.experiment_id,
            before,
            after,
            f"event {event.event} ({event.event_id}); possible is {possible}",
        )
    return after


def _opened(event: Event) -> Experiment:
    def text(key: str, default: str = "unknown") -> str:
        return str(event.data.get(key) or default)

    return Experiment(
        experiment_id=event.experiment_id,
        strategy=text("strategy"),
        status=ExperimentStatus.RUNNING,
        engine=text("engine"),
        approval=text("approval"),
        requested_by=text("requested_by", event.actor),
        data_name=text("data_name"),
        attempts=0,
        verdict=None,
        reason=None,
        judged_commit=None,
        merged_commit=None,
        tag=None,
        opened=event.at,
        closed=None,
        artifacts={},
    )


def _note(experiment: Experiment, event: Event) -> None:
    data = event.data
    if event.event in _EXPLAINING and data.get("reason"):
        experiment.reason = str(data["reason"])
    if event.event == "recommended":
        experiment.verdict = _text(data, "verdict")
    elif event.event in ("gates_judged", "candidate_chosen"):
        experiment.judged_commit = _text(data, "commit")
    elif event.event == "merged":
        experiment.merged_commit = _text(data, "commit")
        experiment.tag = _text(data, "tag")
    ended = is_final(ExperimentStatus(experiment.status))
    if ended and (experiment.closed is None or event.event == "experiment_closed"):
        experiment.closed = event.at
    experiment.artifacts = {**experiment.artifacts, **_artifacts(data)}


def _artifacts(data: dict[str, Any]) -> dict[str, str]:
    named = {kind: data.get(kind) for kind in _ARTIFACTS}
    named |= {
        "definition": data.get("definition_sha256") or named["definition"],
        "data": data.get("data_sha256"),
    }
    if isinstance(data.get("artifacts"), dict):
        named |= data["artifacts"]
    return {
        kind: value for kind, value in named.items() if isinstance(value, str) and _DIGEST.fullmatch(value)
    }


def _metric(event: Event, attempts: int) -> Metric:
    attempt = event.data.get("attempt")
    metrics = event.data.get("metrics")
    return Metric(
        experiment_id=event.experiment_id,
        attempt=attempt if isinstance(attempt, int) else attempts + 1,
        commit=_text(event.data, "commit"),
        at=event.at,
        data=metrics if isinstance(metrics, dict) else {},
    )


def _sandbox(event: Event) -> SandboxHistory:
    data = event.data
    size, seconds = data.get("size_bytes"), data.get("seconds")
    return SandboxHistory(
        event_id=event.event_id,
        sandbox_id=_text(data, "sandbox_id") or "unknown",
        experiment_id=event.experiment_id,
        provider=_text(data, "provider") or "unknown",
        event=event.event.removeprefix(_SANDBOX),
        at=event.at,
        reason=_text(data, "reason"),
        size_bytes=int(size) if isinstance(size, int | float) else None,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        metrics={key: value for key, value in data.items() if key not in _SANDBOX_COLUMNS},
    )


def _audit(
    event: Event, strategy: str, before: ExperimentStatus | None, after: ExperimentStatus | None
) -> Audit:
    return Audit(
        event_id=event.event_id,
        experiment_id=event.experiment_id,
        strategy=strategy,
        sequence=event.sequence,
        at=event.at,
        event=event.event,
        actor=event.actor,
        status=event.status,
        status_before=before,
        status_after=after,
        data=event.data,
        number=0,  # these three are given when the row is added
        prev_hash="",
        hash="",
    )


def event_of(row: Audit) -> Event:
    """The event that an audit row keeps."""
    return Event(
        event_id=row.event_id,
        experiment_id=row.experiment_id,
        sequence=row.sequence,
        at=row.at,
        event=row.event,
        actor=row.actor,
        status=ExperimentStatus(row.status) if row.status else None,
        data=row.data,
    )


def _text(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    return str(value) if value is not None else None
