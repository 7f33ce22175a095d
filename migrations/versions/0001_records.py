"""experiments, metrics, sandbox history, audit, leases"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.String, primary_key=True),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("engine", sa.String, nullable=False),
        sa.Column("approval", sa.String, nullable=False),
        sa.Column("requested_by", sa.String, nullable=False),
        sa.Column("data_name", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String),
        sa.Column("reason", sa.String),
        sa.Column("judged_commit", sa.String),
        sa.Column("merged_commit", sa.String),
        sa.Column("tag", sa.String),
        sa.Column("opened", TIME, nullable=False),
        sa.Column("closed", TIME),
        sa.Column("artifacts", sa.JSON, nullable=False),
    )
    op.create_index("ix_experiments_opened", "experiments", ["opened", "experiment_id"])
    op.create_index("ix_experiments_status", "experiments", ["status", "opened"])
    op.create_index("ix_experiments_strategy", "experiments", ["strategy", "opened"])

    op.create_table(
        "metrics",
        _experiment(primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("commit", sa.String),
        sa.Column("at", TIME, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )

    op.create_table(
        "sandbox_history",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("sandbox_id", sa.String, nullable=False),
        _experiment(nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("seconds", sa.Float),
        sa.Column("metrics", sa.JSON, nullable=False),
    )
    op.create_index("ix_sandbox_history_experiment", "sandbox_history", ["experiment_id", "at"])

    op.create_table(
        "audit",
        sa.Column("event_id", sa.String, primary_key=True),
        _experiment(nullable=False),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("status", sa.String),
        sa.Column("status_before", sa.String),
        sa.Column("status_after", sa.String),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("ix_audit_experiment", "audit", ["experiment_id", "at", "sequence"])
    op.create_index("ix_audit_strategy", "audit", ["strategy", "at", "sequence"])
    op.create_index("ix_audit_event", "audit", ["event", "at", "sequence"])
    op.create_index("ix_audit_at", "audit", ["at", "sequence"])
    _make_append_only("audit")

    op.create_table(
        "leases",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("experiment_id", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("expires", TIME, nullable=False),
        sa.Column("released", TIME),
    )
    op.create_index("ix_leases_expires", "leases", ["released", "expires"])
    op.create_index("ix_leases_experiment", "leases", ["experiment_id"])


def downgrade() -> None:
    for table in ("leases", "audit", "sandbox_history", "metrics", "experiments"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_is_append_only")


def _experiment(*, primary_key: bool = False, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(
        "experiment_id",
        sa.String,
        sa.ForeignKey("experiments.experiment_id"),
        primary_key=primary_key,
        nullable=nullable,
    )


def _make_append_only(table: str) -> None:
    """The database itself refuses to change or delete what was recorded."""
    message = f"{table} is append-only"
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
    elif op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()"
        )
