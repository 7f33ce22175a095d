"""Records: experiments, metrics, sandbox history, audit and leases, in SQLite or PostgreSQL."""

from services.records.errors import DatabaseTooNew, IllegalTransition, RecordsError, RecordsUnavailable
from services.records.records import Records

__all__ = ["DatabaseTooNew", "IllegalTransition", "Records", "RecordsError", "RecordsUnavailable"]
