"""The database behind the records: migrations, and what is said when it can't be used."""

import multiprocessing
import os
import sqlite3
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

import migrations
from services.records import DatabaseTooNew, Records, RecordsError, RecordsUnavailable, tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "records.db"


def test_migrating_makes_the_folder_and_the_tables_once(path: Path) -> None:
    records = Records(f"sqlite:///{path}")
    records.migrate()
    before = path.read_bytes()
    records.migrate()
    Records(f"sqlite:///{path}").migrate()
    assert path.read_bytes() == before
    assert records.experiments() == []


def test_migrations_and_tables_agree(path: Path) -> None:
    records = Records(f"sqlite:///{path}")
    records.migrate()
    with records._database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, SQLModel.metadata) == []
    named = {"experiments", "metrics", "sandbox_history", "audit", "leases", "spending"}
    assert set(SQLModel.metadata.tables) >= named
    assert tables.Audit.metadata is SQLModel.metadata


def test_migrations_go_back_and_forth(path: Path) -> None:
    from alembic import command

    from services.records.database import _config

    records = Records(f"sqlite:///{path}")
    records.migrate()
    with records._database.engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with sqlite3.connect(path) as connection:
        assert {
            row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        } == {"alembic_version"}
    records.migrate()
    assert records.audit() == []


def test_revisions_are_numbered() -> None:
    folder = Path(migrations.__file__).parent / "versions"
    assert sorted(file.name for file in folder.glob("0*.py")) == [
        "0001_records.py",
        "0002_audit_chain.py",
        "0003_spending.py",
    ]


def test_eight_processes_migrate_at_once(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=migrate_in_a_child, args=(str(path),)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0] * 8
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0003",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def migrate_in_a_child(path: str) -> None:
    Records(f"sqlite:///{path}").migrate()


def test_a_migration_that_fails_leaves_nothing(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE audit (unrelated TEXT)")
    with pytest.raises(RecordsUnavailable, match="table audit already exists"):
        Records(f"sqlite:///{path}").migrate()
    with sqlite3.connect(path) as connection:
        assert {row[0] for row in connection.execute("SELECT name FROM sqlite_master")} == {"audit"}


def test_a_newer_database_is_refused(path: Path) -> None:
    Records(f"sqlite:///{path}").migrate()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DatabaseTooNew, match=r"revision 9999.*upgrade Genesis"):
        Records(f"sqlite:///{path}").migrate()


def test_a_database_without_tables_says_what_to_do(path: Path) -> None:
    path.parent.mkdir()
    with pytest.raises(RecordsError, match=r"call Records.migrate\(\) first"):
        Records(f"sqlite:///{path}").experiments()


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, but long enough to look like one" * 20, b"SQLite format 3\x00junk" * 90],
)
def test_another_file_is_not_taken_for_a_database(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(RecordsUnavailable, match="can't be used"):
        Records(f"sqlite:///{path}").migrate()
    assert path.read_bytes() == content


def test_a_folder_that_can_not_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordsUnavailable, match="can't make the folder"):
        Records(f"sqlite:///{tmp_path / 'file' / 'records.db'}").migrate()
    with pytest.raises(RecordsUnavailable, match="unable to open"):
        Records(f"sqlite:///{tmp_path}").migrate()


def test_a_read_only_database_is_explained(path: Path) -> None:
    Records(f"sqlite:///{path}").migrate()
    records = Records(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert records.experiments() == []
    with pytest.raises(RecordsUnavailable, match="readonly database; give this user the right to write"):
        records.open_lease("sandbox", "s1", "exp-1", "host", datetime.now(UTC))


@pytest.mark.parametrize(
    "url", ["", "records.db", "/var/records.db", "sqlite://", "sqlite:///:memory:", "nosuch://x/y"]
)
def test_what_is_no_database_url_is_refused(url: str) -> None:
    with pytest.raises(RecordsError):
        Records(url)


@pytest.mark.skipif(find_spec("psycopg") is not None, reason="the driver is installed, so it isn't missing")
def test_a_missing_driver_is_named() -> None:
    with pytest.raises(RecordsUnavailable, match=r"pip install psycopg\[binary\]") as caught:
        Records("postgresql://ada:secret@localhost/genesis")
    assert "secret" not in str(caught.value)


def test_queries_compile_for_postgresql() -> None:
    """No driver is needed to see that no query or column is SQLite's alone."""
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    from services.records import records as queries

    dialect = postgresql.dialect()
    for table in SQLModel.metadata.tables.values():
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
    found = queries.find_query("exp", on_sqlite=False)
    assert ">=" not in str(found.compile(dialect=dialect)), "a range means something else in each collation"
    for query in (queries.jobs_query(), found, queries.audit_query("e", "s", "m", 9)):
        assert "SELECT" in str(query.compile(dialect=dialect))


def test_many_connections_are_given_back(path: Path) -> None:
    records = Records(f"sqlite:///{path}")
    records.migrate()
    for _ in range(50):
        records.experiments()
    pool = records._database.engine.pool
    assert isinstance(pool, sqlalchemy.QueuePool)
    assert pool.checkedout() == 0
    descriptors = len(os.listdir("/proc/self/fd"))
    records.close()
    assert len(os.listdir("/proc/self/fd")) <= descriptors
