"""The database behind the records: connections, transactions, migrations, and errors in plain words."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlmodel import Session

from domain.chain import canonical
from services.records.errors import DatabaseTooNew, RecordsError, RecordsUnavailable

BUSY_SECONDS = 30.0
"""How long a writer waits for another one."""

_MIGRATION_LOCK = 7_236_514_982  # any number; all processes of one PostgreSQL database take the same
_ADVICE = {
    "database is locked": (
        f"another process has been writing for {BUSY_SECONDS:g} s; try again, or end that process"
    ),
    "unable to open": "check that the folder exists and that this user may write there",
    "readonly database": "give this user the right to write to the file and its folder",
    "disk is full": "free some space on its disk",
    "disk I/O error": "check its disk; network file systems don't suit SQLite",
    "malformed": "the file is damaged: restore it from a backup",
    "file is not a database": "the file holds something else: give another path",
    "connection": "check that the server runs and that the URL names it",
}


class Database:
    """One database by its SQLAlchemy URL. Thread-safe; connects on first use."""

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
        except ArgumentError:
            raise RecordsError(
                f"'{url}' is not a database URL; write for example sqlite:///var/records.db"
            ) from None
        self.shown = self.url.render_as_string(hide_password=True)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and (self.url.database or ":memory:") == ":memory:":
            raise RecordsError(
                f"{self.shown} keeps nothing; records need a file, for example sqlite:///var/records.db"
            )
        self.engine = self._engine()

    def migrate(self) -> None:
        """Bring the tables up to date. Several processes may do so at once: one does, the others wait."""
        with self.explained():
            if self.is_sqlite:
                self._make_folder()
                self._use_wal()
            with self.engine.connect() as connection:
                if self._is_current(connection):
                    return
            with self._writing() as connection:
                if not self.is_sqlite:
                    lock = sqlalchemy.text("SELECT pg_advisory_xact_lock(:lock)")
                    connection.execute(lock, {"lock": _MIGRATION_LOCK})
                if not self._is_current(connection):
                    config = _config()
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one transaction that is committed at the end, or rolled back on an exception."""
        with self.explained(), self._writing() as connection:
            session = Session(bind=connection, autoflush=False, expire_on_commit=False)
            with session:
                yield session
                session.flush()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database and changes nothing."""
        with self.explained(), Session(self.engine, autoflush=False) as session:
            if not self.is_sqlite:  # which gives one state anyway
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            said = str(error.orig).strip()
            if "no such table" in said or "UndefinedTable" in type(error.orig).__name__:
                raise RecordsError(
                    f"the database {self.shown} has no tables yet; call Records.migrate() first"
                ) from error
            if isinstance(error, OperationalError) or "not a database" in said or "malformed" in said:
                advice = next(
                    (text for key, text in _ADVICE.items() if key in said), "check the server and the URL"
                )
                raise RecordsUnavailable(
                    f"the database {self.shown} can't be used: {said}; {advice}"
                ) from error
            raise RecordsError(f"the database {self.shown} refused: {said}") from error
        except SQLAlchemyError as error:
            raise RecordsUnavailable(f"the database {self.shown} can't be used: {error}") from error
        except UnicodeEncodeError as error:
            raise RecordsError(
                f"{error.object!r:.100} is not Unicode text; check how it was typed or read"
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(genesis_writes=True) as connection, connection.begin():
            yield connection

    def _engine(self) -> Engine:
        url = self.url
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        try:
            engine = sqlalchemy.create_engine(
                url,
                json_serializer=canonical,
                pool_pre_ping=not self.is_sqlite,
                connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False} if self.is_sqlite else {},
            )
        except ModuleNotFoundError as error:
            raise RecordsUnavailable(
                f"the database {self.shown} needs the Python package {error.name}; install it, for example: "
                f"pip install {'psycopg[binary]' if error.name == 'psycopg' else error.name}"
            ) from error
        except SQLAlchemyError as error:
            raise RecordsError(f"{self.shown} names no database that can be used: {error}") from error
        if self.is_sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _make_folder(self) -> None:
        folder = Path(self.url.database or "").absolute().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordsUnavailable(
                f"can't make the folder {folder} for the database: {error.strerror}; give this user the right "
                "to, or set another path"
            ) from error

    def _use_wal(self) -> None:
        """Readers and the writer don't wait for each other. Kept in the file, so it is set once.

        SQLite doesn't wait where two processes switch at once, so we do.
        """
        statement = "PRAGMA journal_mode=WAL"
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with closing(self.engine.raw_connection()) as connection:
                    connection.cursor().execute(statement)
                return
            except sqlite3.DatabaseError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise OperationalError(statement, None, error) from error
            time.sleep(0.02)

    def _is_current(self, connection: Connection) -> bool:
        script = ScriptDirectory.from_config(_config())
        found = MigrationContext.configure(connection).get_current_revision()
        if found is None:
            return False
        try:
            script.get_revision(found)
        except CommandError:
            raise DatabaseTooNew(
                f"the database {self.shown} is at revision {found}, which this Genesis doesn't know: a newer "
                "one has migrated it; upgrade Genesis, or give another database"
            ) from None
        return found == script.get_current_head()


def _config() -> Config:
    import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    return config


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say (below), DDL included
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    # FULL: the workflow never writes an acknowledged event again, so a power cut must not lose one.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later can't wait for another writer; one that says so can.
    writes = connection.get_execution_options().get("genesis_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
