"""What can go wrong with the typed tools."""

from schemas.tools import RefusalKind


class ToolRefused(Exception):
    """A tool won't do what was asked; the caller is told why, as a value. `kind` is for programs."""

    def __init__(self, kind: RefusalKind, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_seconds = retry_after_seconds


class AuditUnwritable(Exception):
    """The log of the tools can't be written, so nothing may be done. The message says what to do."""


class AuditDamaged(AuditUnwritable):
    """The log doesn't fit the head that is kept beside it: somebody has cut or altered it."""
