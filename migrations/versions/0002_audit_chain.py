"""the audit as a chain: number, prev_hash and hash of every row, and the head in a table of its own"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FIRST = "0" * 64
CHUNK = 500
_EVENT = (
    *("event_id", "experiment_id", "strategy", "event", "actor"),
    *("status", "status_before", "status_after"),
)
AUDIT = sa.table(
    "audit",
    *(sa.column(name, sa.String) for name in _EVENT),
    sa.column("sequence", sa.Integer),
    sa.column("at", sa.DateTime(timezone=True)),
    sa.column("data", sa.JSON),
    sa.column("number", sa.BigInteger),
    sa.column("prev_hash", sa.String),
    sa.column("hash", sa.String),
)


def upgrade() -> None:
    head = op.create_table(
        "audit_head",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )
    _allow_changes()
    for column in ("number", "prev_hash", "hash"):
        op.add_column("audit", sa.Column(column, AUDIT.c[column].type))
    count, last = _chain_rows()
    op.bulk_insert(head, [{"name": "audit", "count": count, "hash": last}])
    with op.batch_alter_table("audit") as audit:
        audit.alter_column("number", existing_type=sa.BigInteger, nullable=False)
        audit.alter_column("prev_hash", existing_type=sa.String, nullable=False)
        audit.alter_column("hash", existing_type=sa.String, nullable=False)
        audit.create_unique_constraint("uq_audit_number", ["number"])
    _forbid_changes()


def downgrade() -> None:
    _allow_changes()
    with op.batch_alter_table("audit") as audit:
        audit.drop_constraint("uq_audit_number", type_="unique")
        for column in ("number", "prev_hash", "hash"):
            audit.drop_column(column)
    _forbid_changes()
    op.drop_table("audit_head")


def _chain_rows() -> tuple[int, str]:
    """Chain the rows that are there, in the order in which they came in; returns how many, and the last hash."""
    connection = op.get_bind()
    # SQLite knows the order; elsewhere the order of the events comes nearest to it
    came_in = [sa.text("rowid")] if _is_sqlite() else [AUDIT.c.at, AUDIT.c.sequence, AUDIT.c.event_id]
    ids = list(connection.execute(sa.select(AUDIT.c.event_id).order_by(*came_in)).scalars())
    chain = (
        AUDIT.update()
        .where(AUDIT.c.event_id == sa.bindparam("of"))
        .values(number=sa.bindparam("n"), prev_hash=sa.bindparam("p"), hash=sa.bindparam("h"))
    )
    last = FIRST
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        rows = _rows(chunk)
        sealed = []
        for number, event_id in enumerate(chunk, start + 1):
            previous, last = last, _seal(last, number, rows[event_id])
            sealed.append({"of": event_id, "n": number, "p": previous, "h": last})
        connection.execute(chain, sealed)
    return len(ids), last


def _rows(ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    columns = [AUDIT.c[name] for name in (*_EVENT, "sequence", "at", "data")]
    found = op.get_bind().execute(sa.select(*columns).where(AUDIT.c.event_id.in_(ids)))
    return {row["event_id"]: dict(row) for row in found.mappings()}


def _seal(previous: str, number: int, row: dict[str, Any]) -> str:
    """As services/records/chain.py seals: written out here, because a revision never changes."""
    at: datetime = row["at"]
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    content = row | {"number": number, "at": at.isoformat(timespec="microseconds")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def _allow_changes() -> None:
    if _is_sqlite():
        op.execute("DROP TRIGGER IF EXISTS audit_no_update")
        op.execute("DROP TRIGGER IF EXISTS audit_no_delete")
    elif op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_no_change ON audit")


def _forbid_changes() -> None:
    """As revision 0001 did."""
    if _is_sqlite():
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END"
            )
    elif op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
        )


def _is_sqlite() -> bool:
    return str(op.get_bind().dialect.name) == "sqlite"
