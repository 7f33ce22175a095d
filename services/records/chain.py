"""The audit table as a chain: in which form a row is sealed, and whether what stands there still fits."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select

from domain.chain import ChainReport, Found, Head, Inspection, seal
from services.records.errors import RecordsError
from services.records.tables import Audit, AuditHead

HEAD = "audit"
"""The one row of `audit_head`."""

_CHUNK = 500


def content_of(row: Audit) -> dict[str, Any]:
    """What is sealed of a row: everything but the seals. Migration 0002 has the same form, for older rows."""
    return {
        "number": row.number,
        "event_id": row.event_id,
        "experiment_id": row.experiment_id,
        "strategy": row.strategy,
        "sequence": row.sequence,
        "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "event": row.event,
        "actor": row.actor,
        "status": row.status,
        "status_before": row.status_before,
        "status_after": row.status_after,
        "data": row.data,
    }


def locked_head(session: Session) -> AuditHead:
    """The chain's end. Until the transaction ends, nobody else extends it."""
    head = session.get(AuditHead, HEAD, with_for_update=True)
    if head is None:
        raise RecordsError(
            "the records have lost the head of their audit chain (table audit_head); restore the database from a "
            "backup, and see: python starter.py audit verify"
        )
    return head


def extend(session: Session, head: AuditHead, rows: Sequence[Audit]) -> None:
    """Add new rows at the chain's end, in this order."""
    for row in rows:
        row.number, row.prev_hash = head.count + 1, head.hash
        row.hash = seal(row.prev_hash, content_of(row))
        head.count, head.hash = row.number, row.hash
    session.add_all(rows)
    session.flush()


def inspect(session: Session, name: str, expected: Sequence[Head] = ()) -> ChainReport:
    """Check every row against its seal, its neighbour and the head; `expected` are heads kept elsewhere."""
    kept = session.get(AuditHead, HEAD)
    heads = [*([Head(kept.count, kept.hash)] if kept else []), *expected]
    inspection = Inspection(heads)
    for entry in _entries(session):
        inspection.take(entry)
    lost = (
        ""
        if kept
        else "the head was removed: the table audit_head is empty, so a cut at the end can't be seen"
    )
    return inspection.end(name, headless=lost)


def _entries(session: Session) -> Iterator[Found]:
    numbers = list(session.exec(select(Audit.number).order_by(col(Audit.number))))
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        try:
            rows = _rows(session, chunk)
        except (ValueError, TypeError):  # one of them can't be read: find out which
            for number in chunk:
                yield _one(session, number)
        else:
            yield from map(_found, rows)


def _one(session: Session, number: int) -> Found:
    try:
        (row,) = _rows(session, [number])
    except (ValueError, TypeError):
        return Found(f"row {number}")
    return _found(row)


def _rows(session: Session, numbers: Sequence[int]) -> list[Audit]:
    """Raises ValueError or TypeError for a value that its column can't hold, which SQLite lets anybody write."""
    session.expunge_all()
    query = select(Audit).where(col(Audit.number).in_(numbers)).order_by(col(Audit.number))
    try:
        return list(session.exec(query))
    except OperationalError as error:
        if "decode" in str(error.orig):
            raise ValueError(str(error.orig)) from error
        raise


def _found(row: Audit) -> Found:
    try:
        intact = seal(row.prev_hash, content_of(row)) == row.hash
    except (ValueError, TypeError, AttributeError):  # a value of another type than the column's
        intact = False
    return Found(f"row {row.number} ({row.event_id})", row.number, str(row.prev_hash), str(row.hash), intact)
