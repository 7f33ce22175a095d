"""Which states an experiment passes through.

    (new) → running → waiting → merging → merged
               │         │         │
               └─────────┴─────────┴──→ rolled_back | cancelled | failed
               └──→ dry_run

Nobody need be waited for. Where the merge conflicts with what others merged meanwhile, `merging` is rolled back.
"""

from collections.abc import Mapping
from types import MappingProxyType

from schemas.experiment import ExperimentStatus as S

_UNDONE = frozenset({S.ROLLED_BACK, S.CANCELLED, S.FAILED})

NEXT: Mapping[S | None, frozenset[S]] = MappingProxyType(
    {
        None: frozenset({S.RUNNING}),
        S.RUNNING: _UNDONE | {S.WAITING, S.MERGING, S.DRY_RUN},
        S.WAITING: _UNDONE | {S.MERGING},
        S.MERGING: _UNDONE | {S.MERGED},
        S.MERGED: frozenset(),
        S.ROLLED_BACK: frozenset(),
        S.CANCELLED: frozenset(),
        S.DRY_RUN: frozenset(),
        S.FAILED: frozenset(),
    }
)
"""The states that may follow each state; None is an experiment that isn't known yet."""

OPEN = frozenset(state for state in S if NEXT[state])
"""States in which an experiment still runs and may hold sandboxes, branches and tokens."""


def next_states(before: S | None) -> frozenset[S]:
    """The states that may follow `before`; none follows a final one."""
    return NEXT[before]


def is_final(status: S) -> bool:
    """Whether an experiment ends in this state."""
    return status not in OPEN


def allowed(before: S | None, after: S) -> bool:
    """Whether an experiment may go from `before` to `after`. To stay where it is, is always allowed."""
    return before is after or after in NEXT[before]
