"""The audit table's chain, on a real SQLite file that somebody alters behind the records' back."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from domain.chain import GENESIS, Head
from schemas.experiment import ExperimentStatus as S
from schemas.records import Event
from services.records import IllegalTransition, Records, RecordsError
from services.records.database import Database, _config

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(
    number: int, name: str = "step_started", status: S | None = None, of: str = "exp-1", **data: Any
) -> Event:
    return Event(
        event_id=f"{of}/{number}",
        experiment_id=of,
        sequence=number,
        at=START + timedelta(seconds=number, microseconds=7),
        event=name,
        status=status,
        data=data,
    )


def opened(of: str = "exp-1") -> Event:
    return event(0, "experiment_opened", S.RUNNING, of, strategy="Alpha")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def records(path: Path) -> Records:
    found = Records(f"sqlite:///{path}")
    found.migrate()
    return found


@pytest.fixture
def written(records: Records) -> Records:
    """Six rows: 1.5 and 0.1 as JSON keeps them, text beyond ASCII, nested data."""
    records.write([opened(), *(event(n, step="fix", ratio=0.1 * n, note="ü\u2028\x00") for n in range(1, 4))])
    records.write([event(4, "gates_judged", attempt=1, metrics={"sharpe": 1.5, "deep": [None, {"a": -0.0}]})])
    records.write([event(5, "failed", S.FAILED, reason="no")])
    return records


def alter(path: Path, *statements: str) -> None:
    """As somebody with the file and without respect for triggers."""
    with closing(sqlite3.connect(path)) as connection:
        for name in ("audit_no_update", "audit_no_delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def rows(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT event_id, number, prev_hash, hash FROM audit ORDER BY number"
        ).fetchall()


def kinds(records: Records, *expected: Head) -> list[str]:
    return [finding.kind for finding in records.verify_audit(expected).findings]


def test_an_empty_audit_is_whole(records: Records) -> None:
    report = records.verify_audit()
    assert report.ok
    assert report.head == Head(0, GENESIS)


def test_rows_are_chained_in_the_order_in_which_they_came_in(written: Records, path: Path) -> None:
    report = written.verify_audit()
    assert report.findings == ()
    assert report.head == Head(6, rows(path)[-1][3])
    found = rows(path)
    assert [row[0] for row in found] == [f"exp-1/{n}" for n in range(6)]
    assert [row[1] for row in found] == [1, 2, 3, 4, 5, 6]
    assert [row[2] for row in found] == [GENESIS, *(row[3] for row in found[:-1])]


def test_writing_again_does_not_extend_the_chain(written: Records, path: Path) -> None:
    before = rows(path)
    assert written.write([opened(), event(5, "failed", S.FAILED, reason="no")]) == 0
    with pytest.raises(IllegalTransition):
        written.write([event(6, "merge_started", S.MERGING)])
    assert rows(path) == before
    assert written.write([event(6, "report_written"), opened("exp-2")]) == 2
    assert written.verify_audit().head.count == 8
    assert written.verify_audit().ok


def test_another_zone_and_a_later_read_give_the_same_seal(records: Records) -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    records.write([opened(), event(1).model_copy(update={"at": datetime(2026, 3, 1, 4, tzinfo=east)})])
    assert records.verify_audit().ok


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE audit SET actor = 'mallory' WHERE number = 3", "changed"),
        ('UPDATE audit SET data = \'{"step":"fix"}\' WHERE number = 3', "changed"),
        ("UPDATE audit SET status_after = 'merged' WHERE number = 6", "changed"),
        ("UPDATE audit SET at = '2026-01-01 00:00:02.000008' WHERE number = 3", "changed"),
        ("UPDATE audit SET at = 'yesterday' WHERE number = 3", "changed"),
        ("UPDATE audit SET data = '{' WHERE number = 3", "changed"),
        ("UPDATE audit SET strategy = CAST(x'ff' AS TEXT) WHERE number = 3", "changed"),
        ("UPDATE audit SET sequence = 'many' WHERE number = 3", "changed"),
        ("UPDATE audit SET hash = x'00' WHERE number = 3", "changed"),
        ("UPDATE audit SET hash = 'short', prev_hash = 7 WHERE number = 3", "changed"),
        ("DELETE FROM audit WHERE number = 3", "removed"),
        ("DELETE FROM audit WHERE number IN (1, 2)", "removed"),
        ("DELETE FROM audit WHERE number > 4", "truncated"),
        ("DELETE FROM audit", "truncated"),
        ("DELETE FROM audit_head", "no_head"),
        ("UPDATE audit_head SET hash = 'other'", "rewritten"),
        ("UPDATE audit_head SET count = 5", "rewritten"),
        (
            "INSERT INTO audit SELECT 'x', experiment_id, strategy, sequence, at, event, actor, status, status_before, "
            "status_after, data, 7, prev_hash, hash FROM audit WHERE number = 6",
            "changed",
        ),
    ],
)
def test_what_somebody_altered_is_found(written: Records, path: Path, statement: str, kind: str) -> None:
    alter(path, statement)
    assert kind in kinds(written)


def test_swapped_rows_are_found(written: Records, path: Path) -> None:
    alter(
        path,
        "UPDATE audit SET number = -2 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = -2",
    )
    report = written.verify_audit()
    assert [(one.kind, one.where) for one in report.findings] == [
        ("changed", "row 2 (exp-1/2)"),
        ("changed", "row 3 (exp-1/1)"),
    ]


def test_one_row_that_can_not_be_read_hides_no_other(records: Records, path: Path) -> None:
    records.write([opened(), *(event(n) for n in range(1, 1200))])
    assert records.verify_audit().ok
    alter(
        path,
        "UPDATE audit SET data = '{' WHERE number = 700",
        "UPDATE audit SET actor = 'eve' WHERE number = 702",
    )
    assert [(one.kind, one.where) for one in records.verify_audit().findings] == [
        ("changed", "row 700"),
        ("changed", "row 702 (exp-1/701)"),
    ]


def test_a_head_that_was_kept_elsewhere_finds_a_chain_written_anew(tmp_path: Path, written: Records) -> None:
    kept = written.verify_audit().head
    forged = Records(f"sqlite:///{tmp_path / 'forged.db'}")
    forged.migrate()
    forged.write([opened(), *(event(n, actor="mallory") for n in range(1, 6))])
    assert kinds(forged) == []
    assert kinds(forged, kept) == ["rewritten"]
    assert kinds(written, kept) == []
    assert kinds(forged, Head(9, "0" * 64)) == ["truncated"]


def test_the_audit_stays_append_only_and_numbers_unique(written: Records, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("UPDATE audit SET number = 9", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="audit is append-only"):
                connection.execute(statement)
        with pytest.raises(sqlite3.IntegrityError, match=r"audit\.number"):
            connection.execute(
                "INSERT INTO audit SELECT 'x', experiment_id, strategy, sequence, at, event, actor, status, "
                "status_before, status_after, data, number, prev_hash, hash FROM audit WHERE number = 6"
            )


def test_without_its_head_nothing_is_recorded(written: Records, path: Path) -> None:
    alter(path, "DELETE FROM audit_head")
    for one in (event(6, "report_written"), opened()):
        with pytest.raises(RecordsError, match="lost the head of their audit chain"):
            written.write([one])


def test_writers_at_once_make_one_chain(records: Records, path: Path) -> None:
    def write(of: int) -> None:
        own = Records(f"sqlite:///{path}")
        own.write([opened(f"exp-{of}")])
        for number in range(1, 6):
            own.write(
                [
                    event(number, of=f"exp-{of}"),
                    event(number - 1, of=f"exp-{of}") if number > 1 else opened(f"exp-{of}"),
                ]
            )
        own.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    report = records.verify_audit()
    assert report.findings == ()
    assert report.head.count == 36


# The migration


def at_first_revision(path: Path, events: Callable[[Records], None]) -> Database:
    """A database as the first revision left it."""
    records = Records(f"sqlite:///{path}")
    records.migrate()
    events(records)
    with records._database.engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(audit)")]
    assert "hash" not in columns
    return records._database


def test_older_rows_are_chained_in_the_order_in_which_they_came_in(path: Path) -> None:
    def fill(records: Records) -> None:
        records.write(
            [opened("exp-2"), event(3, of="exp-2", ratio=0.1, note="ü", deep={"b": [1.5], "a": None})]
        )
        records.write([opened("exp-1"), *(event(n) for n in range(1, 1100))])
        records.write([event(1, of="exp-2")])

    database = at_first_revision(path, fill)
    database.close()
    records = Records(f"sqlite:///{path}")
    records.migrate()
    report = records.verify_audit()
    assert report.findings == ()
    assert report.head.count == 1103
    order = [row[0] for row in rows(path)]
    assert order[:3] == ["exp-2/0", "exp-2/3", "exp-1/0"]
    assert order[-1] == "exp-2/1"
    assert records.write([event(2, of="exp-2"), event(1, of="exp-2")]) == 1
    assert records.verify_audit().ok
    with closing(sqlite3.connect(path)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("DELETE FROM audit")
        now = connection.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'audit'").fetchall()
    assert {"ix_audit_experiment", "ix_audit_strategy", "ix_audit_event", "ix_audit_at"} <= {
        row[0] for row in now
    }


def test_an_empty_older_database_is_migrated(path: Path) -> None:
    at_first_revision(path, lambda _: None).close()
    records = Records(f"sqlite:///{path}")
    records.migrate()
    assert records.verify_audit().ok
    assert records.write([opened()]) == 1
    assert records.verify_audit().head.count == 1
