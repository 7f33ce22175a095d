"""How an activity says that a retry can't help."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol, cast

from temporalio.exceptions import ApplicationError

from schemas.usage import Usage

SANDBOX_LOST = "SandboxLost"
"""The type of the failure that asks the workflow for another sandbox."""
NOTHING_MADE = "NothingMade"
UNMADE = frozenset({"OverBudget", "UnusableAnswer", "ContentRefused", NOTHING_MADE})
"""Types of failures to write code that are expected outcomes: a call would cost more than is left, a model gives no
whole module, or refuses to; NOTHING_MADE where this befell every candidate."""
PAID = "usage"
"""In a failure's details: what the step paid for models all the same."""

LONGEST_DELAY = 3600.0
"""Seconds of what a provider asks to wait: beyond that, asking is cheaper than believing."""


class Passing(Protocol):
    """An error that may pass, with the seconds after which to try again, where whoever raised it says so."""

    retry_after: float | None


@contextmanager
def passing(*errors: type[Exception]) -> Iterator[None]:
    """Turn the given errors, all of them `Passing`, into failures that Temporal retries when they ask for it."""
    try:
        yield
    except errors as error:
        after = cast(Passing, error).retry_after
        delay = None if after is None else timedelta(seconds=min(max(after, 0.0), LONGEST_DELAY))
        # Its own cause may hold what history must not: only the words go on.
        raise ApplicationError(
            str(error), *_paid(error), type=type(error).__name__, next_retry_delay=delay
        ) from None


@contextmanager
def permanent(*errors: type[Exception]) -> Iterator[None]:
    """Turn the given errors into failures that Temporal doesn't retry; their type's name stays."""
    try:
        yield
    except errors as error:
        raise ApplicationError(
            str(error), *_paid(error), type=type(error).__name__, non_retryable=True
        ) from error


def _paid(error: Exception) -> list[dict[str, object]]:
    """Details of a failure: what the step's calls of models had used by then, under PAID."""
    usage = getattr(error, "usage", None)
    return [{PAID: usage.model_dump(mode="json")}] if isinstance(usage, Usage) else []
