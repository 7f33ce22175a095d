"""Records: what happened to experiments, and what they hold."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic_core import PydanticSerializationError, to_jsonable_python
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from domain.chain import ChainReport, Head, canonical
from domain.lifecycle import OPEN
from schemas.experiment import ExperimentStatus
from schemas.records import AuditRow, Event, ExperimentRow, LeaseRow, SandboxRow
from services.records.chain import extend, inspect, locked_head
from services.records.database import Database
from services.records.errors import IllegalTransition, RecordsError
from services.records.projection import Projection, event_of, in_order, project
from services.records.tables import Audit, AuditHead, Experiment, Lease, Metric, SandboxHistory

MOST_DATA = 256 * 1024
"""Bytes of one event's data, as JSON. More belongs into an artifact."""
MOST_FOUND = 20
"""Ids that `find` gives."""

T = TypeVar("T")

_CHUNK = 500  # ids in one query; databases limit them


class Records:
    """The records in the database at `url`, for example `sqlite:///var/records.db`.

    `migrate` makes or updates the tables; call it once at start. Methods block, and may be called from several
    threads and processes. They raise RecordsUnavailable where the database can't be used just now, and
    RecordsError where the call itself is wrong.
    """

    permanent_errors: tuple[type[Exception], ...] = (RecordsError,)

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def migrate(self) -> None:
        """Make the tables, or bring them up to date. Raises DatabaseTooNew where a newer Genesis did so."""
        self._database.migrate()

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._database.close()

    # Events

    def write(self, events: Sequence[Event]) -> int:
        """Record `events`, all or none, and return how many were new.

        An event that is known already changes nothing; the same id with other content is an error. Rows follow
        from all events of an experiment in the order of `sequence`, whatever the order of arrival; but the audit
        never changes, so an event that would alter the state before a recorded one is an IllegalTransition.
        """
        given: dict[str, Event] = {}
        for event in map(_checked, events):
            if given.setdefault(event.event_id, event) != event:
                raise _differs(event)
        if not given:
            return 0
        with self._database.write() as session:
            # First of all: no two writers wait for each other, and what another one wrote meanwhile is known below.
            head = locked_head(session)
            known = self._known(session, list(given))
            for event in known.values():
                if given[event.event_id] != event:
                    raise _differs(given[event.event_id])
            new = [event for event in given.values() if event.event_id not in known]
            for experiment_id in sorted({event.experiment_id for event in new}):
                of_it = [one for one in new if one.experiment_id == experiment_id]
                self._project(session, head, experiment_id, of_it)
            return len(new)

    def _known(self, session: Session, ids: list[str]) -> dict[str, Event]:
        known = {}
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            for row in session.exec(select(Audit).where(col(Audit.event_id).in_(chunk))):
                known[row.event_id] = event_of(row)
        return known

    def _project(self, session: Session, head: AuditHead, experiment_id: str, new: list[Event]) -> None:
        recorded = session.exec(select(Audit).where(Audit.experiment_id == experiment_id)).all()
        projection = project(in_order([*map(event_of, recorded), *new]))
        _check_unchanged(recorded, projection)
        session.merge(projection.experiment)
        session.flush()
        for row in (*projection.metrics, *projection.sandboxes):
            session.merge(row)
        fresh = {event.event_id for event in new}
        extend(session, head, [row for row in projection.audit if row.event_id in fresh])

    # Experiments

    def experiment(self, experiment_id: str) -> ExperimentRow | None:
        """One experiment, or None where it isn't known."""
        with self._database.read() as session:
            rows = _rows(session, select(Experiment).where(Experiment.experiment_id == experiment_id))
        return rows[0] if rows else None

    def experiments(
        self, *, status: ExperimentStatus | None = None, strategy: str | None = None, limit: int = 50
    ) -> list[ExperimentRow]:
        """The newest `limit` experiments, newest first."""
        with self._database.read() as session:
            return _rows(session, experiments_query(status, strategy, limit))

    def jobs(self) -> list[ExperimentRow]:
        """Experiments that have not ended, oldest first."""
        with self._database.read() as session:
            return _rows(session, jobs_query())

    def find(self, prefix: str) -> list[str]:
        """The first MOST_FOUND ids that begin with `prefix`, in order. One means the prefix is unique."""
        with self._database.read() as session:
            return list(session.exec(find_query(prefix, on_sqlite=self._database.is_sqlite)))

    # History

    def audit(
        self,
        *,
        experiment: str | None = None,
        strategy: str | None = None,
        event: str | None = None,
        limit: int = 200,
    ) -> list[AuditRow]:
        """The newest `limit` events, in the order in which they happened."""
        with self._database.read() as session:
            rows = session.exec(audit_query(experiment, strategy, event, limit)).all()
            return [
                AuditRow.model_validate(row.model_dump(include=set(AuditRow.model_fields)))
                for row in reversed(rows)
            ]

    def verify_audit(self, expected: Sequence[Head] = ()) -> ChainReport:
        """Whether the audit is as it was written: each row against its seal, the row before it and the kept head.

        `expected` are heads that were kept elsewhere. Reads all rows, in one state of the database.
        """
        with self._database.read() as session:
            return inspect(session, f"the audit table of {self._database.shown}", expected)

    def sandboxes(self, experiment: str) -> list[SandboxRow]:
        """What became of an experiment's sandboxes, in the order in which it happened."""
        with self._database.read() as session:
            rows = session.exec(sandboxes_query(experiment)).all()
            return [SandboxRow.model_validate(row.model_dump(exclude={"event_id"})) for row in rows]

    # Leases

    def open_lease(self, kind: str, name: str, experiment_id: str, host: str, expires: datetime) -> LeaseRow:
        """Say that `name` is about to be made for an experiment. A retry, or a renewal, moves `expires`.

        A name that another experiment holds is an error.
        """
        if expires.tzinfo is None:
            raise RecordsError(f"the lease of {kind} {name} needs an end with a zone, for example in UTC")
        return _twice(lambda: self._open_lease(kind, name, experiment_id, host, expires))

    def _open_lease(self, kind: str, name: str, experiment_id: str, host: str, expires: datetime) -> LeaseRow:
        with self._database.write() as session:
            lease = session.get(Lease, (kind, name), with_for_update=True)
            if lease and lease.released is None and lease.experiment_id != experiment_id:
                raise RecordsError(
                    f"{kind} {name} is leased to experiment {lease.experiment_id} until "
                    f"{lease.expires:%F %T} UTC; take another name, or release it"
                )
            if lease is None or lease.released is not None:
                lease = session.merge(
                    Lease(
                        kind=kind,
                        name=name,
                        experiment_id=experiment_id,
                        host=host,
                        created=datetime.now(UTC),
                        expires=expires,
                        released=None,
                    )
                )
            lease.host = host
            lease.expires = expires
            session.flush()
            return LeaseRow.model_validate(lease.model_dump())

    def release_lease(self, kind: str, name: str) -> bool:
        """Say that `name` is gone; False where no open lease has this name."""
        with self._database.write() as session:
            lease = session.get(Lease, (kind, name), with_for_update=True)
            if lease is None or lease.released is not None:
                return False
            lease.released = datetime.now(UTC)
            return True

    def leases(
        self, open_only: bool = True, experiment: str | None = None, kind: str | None = None
    ) -> list[LeaseRow]:
        """Leases by their end, first to end first."""
        with self._database.read() as session:
            rows = session.exec(leases_query(open_only, experiment, kind)).all()
            return [LeaseRow.model_validate(row.model_dump()) for row in rows]

    def lease_hosts(self, kind: str, since: datetime) -> list[str]:
        """The hosts that hold a lease of that kind, or took one since then, by name."""
        with self._database.read() as session:
            return sorted(session.exec(lease_hosts_query(kind, since)))


# The queries, apart from their use, so that a test can ask the database which index each takes.


def experiments_query(
    status: ExperimentStatus | None, strategy: str | None, limit: int
) -> SelectOfScalar[Experiment]:
    query = select(Experiment)
    if status:
        query = query.where(Experiment.status == status.value)
    if strategy:
        query = query.where(Experiment.strategy == strategy)
    newest = (col(Experiment.opened).desc(), col(Experiment.experiment_id).desc())
    return query.order_by(*newest).limit(_bounded(limit))


def jobs_query() -> SelectOfScalar[Experiment]:
    open_states = sorted(state.value for state in OPEN)
    return (
        select(Experiment)
        .where(col(Experiment.status).in_(open_states))
        .order_by(col(Experiment.opened), col(Experiment.experiment_id))
    )


def find_query(prefix: str, *, on_sqlite: bool) -> SelectOfScalar[str]:
    identity = col(Experiment.experiment_id)
    query = select(Experiment.experiment_id).where(identity.startswith(prefix, autoescape=True))
    if prefix and on_sqlite:
        # LIKE alone takes no index there. Ids are ASCII and compared by bytes, unlike with a PostgreSQL's collation.
        query = query.where(identity >= prefix, identity <= prefix + "\x7f")
    return query.order_by(identity).limit(MOST_FOUND)


def audit_query(
    experiment: str | None, strategy: str | None, event: str | None, limit: int
) -> SelectOfScalar[Audit]:
    query = select(Audit)
    if experiment:
        query = query.where(Audit.experiment_id == experiment)
    if strategy:
        query = query.where(Audit.strategy == strategy)
    if event:
        query = query.where(Audit.event == event)
    return query.order_by(col(Audit.at).desc(), col(Audit.sequence).desc()).limit(_bounded(limit))


def sandboxes_query(experiment: str) -> SelectOfScalar[SandboxHistory]:
    query = select(SandboxHistory).where(SandboxHistory.experiment_id == experiment)
    return query.order_by(col(SandboxHistory.at), col(SandboxHistory.event_id))


def leases_query(open_only: bool, experiment: str | None, kind: str | None) -> SelectOfScalar[Lease]:
    query = select(Lease)
    if kind:
        query = query.where(Lease.kind == kind)
    if open_only:
        query = query.where(col(Lease.released).is_(None))
    if experiment:
        query = query.where(Lease.experiment_id == experiment)
    return query.order_by(col(Lease.expires), col(Lease.kind), col(Lease.name))


def lease_hosts_query(kind: str, since: datetime) -> SelectOfScalar[str]:
    held = col(Lease.released).is_(None) | (col(Lease.created) >= since)
    return select(Lease.host).where(Lease.kind == kind, held).distinct()


def _rows(session: Session, query: SelectOfScalar[Experiment]) -> list[ExperimentRow]:
    """Experiments with the metrics of the commit that was judged last, or was chosen of several."""
    found = session.exec(query).all()
    judged = {row.experiment_id: row.judged_commit for row in found}
    ids = [*judged]
    metrics: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        attempts = select(Metric).where(col(Metric.experiment_id).in_(chunk)).order_by(col(Metric.attempt))
        metrics |= {
            row.experiment_id: row.data
            for row in session.exec(attempts)
            if row.commit == judged[row.experiment_id]
        }
    return [
        ExperimentRow.model_validate({**row.model_dump(), "metrics": metrics.get(row.experiment_id, {})})
        for row in found
    ]


def _checked(event: Event) -> Event:
    """The event as it will be read back."""
    try:
        data = to_jsonable_python(event.data)
        size = len(canonical(data))
    except (PydanticSerializationError, TypeError, ValueError, RecursionError) as error:
        raise RecordsError(
            f"the data of event {event.event} ({event.event_id}) can't be kept: {error}; give finite "
            "numbers, texts, lists and dictionaries"
        ) from error
    if size > MOST_DATA:
        raise RecordsError(
            f"the data of event {event.event} ({event.event_id}) has {size} bytes, at most {MOST_DATA} are "
            "kept; store the bulk as an artifact and record its digest"
        )
    return event.model_copy(update={"data": data})


def _check_unchanged(recorded: Iterable[Audit], projection: Projection) -> None:
    after = {row.event_id: row for row in projection.audit}
    for row in recorded:
        now = after[row.event_id]
        if (row.status_before, row.status_after) != (now.status_before, now.status_after):
            entered = now.status_before or now.status_after
            assert entered, "a state is never taken back"
            raise IllegalTransition(
                row.experiment_id,
                ExperimentStatus(row.status_before) if row.status_before else None,
                ExperimentStatus(entered),
                f"event {row.event} ({row.event_id}) with a later sequence is recorded already",
            )


def _differs(event: Event) -> RecordsError:
    return RecordsError(
        f"event {event.event} ({event.event_id}) of experiment {event.experiment_id} is recorded with other "
        "content; a retry must bring the same event, and another event needs an id of its own"
    )


def _twice(action: Callable[[], T]) -> T:
    """Where writers don't queue (PostgreSQL), another may insert the same row first. The second time we see it."""
    try:
        return action()
    except IntegrityError:
        try:
            return action()
        except IntegrityError as error:
            raise RecordsError(f"the database refused: {error.orig}; the lease contradicts it") from error


def _bounded(limit: int) -> int:
    if limit < 1:
        raise RecordsError(f"limit is {limit}; ask for at least one row")
    return limit
