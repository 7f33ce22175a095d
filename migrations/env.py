"""Runs revisions on the connection that `Records.migrate()` hands over, or on alembic.ini's URL."""

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlmodel import SQLModel

import services.records.tables  # noqa: F401 - fills the metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=SQLModel.metadata)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("migrations run on a database; to see their SQL, read migrations/versions")

if handed := context.config.attributes.get("connection"):
    _run(handed)
else:
    with create_engine(context.config.get_main_option("sqlalchemy.url") or "").begin() as own:
        _run(own)
