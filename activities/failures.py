"""How an activity says that a retry can't help."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

SANDBOX_LOST = "SandboxLost"
"""The type of the failure that asks the workflow for another sandbox."""


@contextmanager
def permanent(*errors: type[Exception]) -> Iterator[None]:
    """Turn the given errors into failures that Temporal doesn't retry; their type's name stays."""
    try:
        yield
    except errors as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
