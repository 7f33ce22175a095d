"""The tables. `audit` holds the events themselves and is only ever added to; the others follow from it.

Names and types here and in migrations/ must agree; a test compares them.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Index
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, also where the database keeps no zone (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Experiment(SQLModel, table=True):
    __tablename__ = "experiments"
    __table_args__ = (
        Index("ix_experiments_opened", "opened", "experiment_id"),
        Index("ix_experiments_status", "status", "opened"),
        Index("ix_experiments_strategy", "strategy", "opened"),
    )

    experiment_id: str = Field(primary_key=True)
    strategy: str
    status: str
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
    opened: datetime = Field(sa_type=UtcDateTime)
    closed: datetime | None = Field(sa_type=UtcDateTime)
    artifacts: dict[str, str] = Field(sa_type=JSON)


class Metric(SQLModel, table=True):
    """What one attempt's backtest came to."""

    __tablename__ = "metrics"

    experiment_id: str = Field(primary_key=True, foreign_key="experiments.experiment_id")
    attempt: int = Field(primary_key=True)
    commit: str | None
    at: datetime = Field(sa_type=UtcDateTime)
    data: dict[str, Any] = Field(sa_type=JSON)


class SandboxHistory(SQLModel, table=True):
    __tablename__ = "sandbox_history"
    __table_args__ = (Index("ix_sandbox_history_experiment", "experiment_id", "at"),)

    event_id: str = Field(primary_key=True)
    sandbox_id: str
    experiment_id: str = Field(foreign_key="experiments.experiment_id")
    provider: str
    event: str
    at: datetime = Field(sa_type=UtcDateTime)
    reason: str | None
    size_bytes: int | None = Field(sa_type=BigInteger)
    seconds: float | None
    metrics: dict[str, Any] = Field(sa_type=JSON)


class Audit(SQLModel, table=True):
    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_experiment", "experiment_id", "at", "sequence"),
        Index("ix_audit_strategy", "strategy", "at", "sequence"),
        Index("ix_audit_event", "event", "at", "sequence"),
        Index("ix_audit_at", "at", "sequence"),
    )

    event_id: str = Field(primary_key=True)
    experiment_id: str = Field(foreign_key="experiments.experiment_id")
    strategy: str
    sequence: int
    at: datetime = Field(sa_type=UtcDateTime)
    event: str
    actor: str
    status: str | None
    """As the event said it; None left the state alone."""
    status_before: str | None
    status_after: str | None
    data: dict[str, Any] = Field(sa_type=JSON)
    number: int = Field(sa_type=BigInteger, unique=True)
    """Place in the chain (services/records/chain.py), from 1 in the order in which rows came in."""
    prev_hash: str
    hash: str


class AuditHead(SQLModel, table=True):
    """The end of the audit's chain: one row, so that a cut at the end shows."""

    __tablename__ = "audit_head"

    name: str = Field(primary_key=True)
    count: int = Field(sa_type=BigInteger)
    hash: str


class Lease(SQLModel, table=True):
    __tablename__ = "leases"
    __table_args__ = (
        Index("ix_leases_expires", "released", "expires"),
        Index("ix_leases_experiment", "experiment_id"),
    )

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    experiment_id: str
    host: str
    created: datetime = Field(sa_type=UtcDateTime)
    expires: datetime = Field(sa_type=UtcDateTime)
    released: datetime | None = Field(sa_type=UtcDateTime)


class Spending(SQLModel, table=True):
    """One call of a model: reserved before it, settled after it. `services/budget.py` writes it."""

    __tablename__ = "spending"
    __table_args__ = (
        Index("ix_spending_state", "state", "experiment_id"),
        Index("ix_spending_day", "day", "state"),
    )

    key: str = Field(primary_key=True)
    engine: str = Field(primary_key=True)
    """Candidates may ask several engines under the same key."""
    number: int = Field(primary_key=True)
    """Counts the payments under one key, from 1: the same step may come to ask something else."""
    experiment_id: str
    day: date
    """In UTC, when it was reserved."""
    state: str
    """reserved, settled or released."""
    tokens: int = Field(sa_type=BigInteger)
    nano_usd: int = Field(sa_type=BigInteger)
    """Billionths of a dollar; 0 where the price is unknown."""
    calls: int = Field(sa_type=BigInteger)
    unpriced: int = Field(sa_type=BigInteger)
    """How many of the calls have an unknown price."""
    at: datetime = Field(sa_type=UtcDateTime)
