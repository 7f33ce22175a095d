"""What stands between a model's call and its budget."""

from typing import Protocol

from schemas.models import CallKey
from schemas.usage import Usage


class OverBudget(Exception):
    """A call would cost more than is left; the message says which budget, what is left, and how to change it."""

    usage: Usage | None = None
    """Of the step's calls before; None where there was none."""


class Purse(Protocol):
    """Reserves before a call, and settles after it. Both are repeated with the same key when a step is, and count once.

    A call that is found among the paid ones reserves nothing, but is settled again: a worker may have died between
    keeping the answer and settling it.
    """

    def reserve(self, key: CallKey, estimate: Usage) -> None:
        """Set aside what the call may cost at most. Raises OverBudget."""

    def settle(self, key: CallKey, usage: Usage | None) -> None:
        """Replace what was reserved by what was used. None: the call brought no answer, and its reservation ends. (What
        a provider charges for a call that broke off, nobody says.)"""


class NoPurse:
    """No limits, and no accounts."""

    def reserve(self, key: CallKey, estimate: Usage) -> None:
        return

    def settle(self, key: CallKey, usage: Usage | None) -> None:
        return
