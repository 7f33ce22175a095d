"""Alembic's revisions of the records' tables. `Records.migrate()` applies them; see docs/records.md."""
