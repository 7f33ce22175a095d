"""Timeouts and retries, by name, and the activity options made of them. No number stands anywhere else."""

import math
from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType


class Patience(TypedDict, total=False):
    """Options of an activity whose length isn't known beforehand."""

    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


class Options(Patience, total=False):
    """Options of an activity; the timeout is of one attempt."""

    start_to_close_timeout: timedelta


LEASE_GRACE = timedelta(minutes=15)
"""How long after its experiment's deadline a leased resource may be swept."""


def lease_seconds(left: timedelta) -> float:
    """How long what is leased now may live; `left` is below 0 where no worker served until after the deadline."""
    return (max(left, timedelta()) + LEASE_GRACE).total_seconds()


HOST_PICKUP = timedelta(seconds=30)
"""How long a sandbox's own host may leave a step lying before the host is given up."""

TRIALS_PER_TRY_OUT = 8
"""Six on parts of the data, two on all of it."""
TRIALS_MARGIN = timedelta(seconds=60)
"""Beside the trials' own time: putting files, judging."""

SANDBOX_ROUNDS = 5
"""How often a lost sandbox is replaced before the machinery is called broken."""

LINE_SHORTEST = timedelta(milliseconds=500)
LINE_LONGEST = timedelta(seconds=10)
"""How long who stands in line for a sandbox waits before asking again. The line passes over who doesn't ask for three
times the longest (services.line)."""


def line_pause(place: int, most: int, unchanged: timedelta) -> timedelta:
    """Longer for who stands further back, and where the line hasn't moved for a while: few questions, and little delay
    beside the wait."""
    rounds = math.ceil(place / most)
    return min(LINE_LONGEST, max(LINE_SHORTEST * rounds, unchanged / 5))


_FIRST_RETRY = timedelta(milliseconds=200)
_RETRY = RetryPolicy(
    initial_interval=_FIRST_RETRY, maximum_interval=timedelta(seconds=10), maximum_attempts=8
)
_RETRY_FEW = RetryPolicy(initial_interval=_FIRST_RETRY, maximum_attempts=3)
_RETRY_FOR_EVER = RetryPolicy(initial_interval=_FIRST_RETRY, maximum_interval=timedelta(seconds=30))

# A step that makes something is waited for when it is cancelled: an undo that overtakes it would miss what it makes.
_WAIT = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED

COMMIT = Options(
    start_to_close_timeout=timedelta(
        seconds=15
    ),  # tens of milliseconds of git, with room for a loaded machine
    retry_policy=_RETRY,
    cancellation_type=_WAIT,
)
ENGINE = Options(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=timedelta(seconds=15),
    retry_policy=_RETRY,
    cancellation_type=_WAIT,
)
LEASE = Options(
    start_to_close_timeout=timedelta(minutes=2),  # cold starts behind one another on a loaded machine
    heartbeat_timeout=timedelta(seconds=15),
    retry_policy=_RETRY,
    cancellation_type=_WAIT,
)
TRIALS = Patience(heartbeat_timeout=timedelta(seconds=10), retry_policy=_RETRY_FEW, cancellation_type=_WAIT)
UNDO = Options(
    start_to_close_timeout=timedelta(seconds=15),
    retry_policy=_RETRY_FOR_EVER,  # what was made must go
    cancellation_type=_WAIT,
)
WEIGH = Options(
    start_to_close_timeout=timedelta(seconds=30),  # a hundred results on a hundred thousand bars
    retry_policy=_RETRY,
    cancellation_type=_WAIT,
)
RECORDS = Options(
    start_to_close_timeout=timedelta(seconds=15),
    retry_policy=_RETRY_FOR_EVER,  # a database that is down holds the bookkeeping up, never the experiment
)
PAPERS = Options(start_to_close_timeout=timedelta(seconds=30), retry_policy=_RETRY_FEW)
"""The report and the exported history: wanted, but no experiment fails for the lack of them."""
MEMORY = Options(
    start_to_close_timeout=timedelta(minutes=2),  # the embedding model is loaded on first need
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(initial_interval=_FIRST_RETRY, maximum_attempts=2),
)
"""Wanted, but no experiment fails for the lack of it."""
SWEEP = Options(start_to_close_timeout=timedelta(minutes=2), retry_policy=_RETRY)

SWEEP_PICKUP = timedelta(seconds=10)
"""How long a worker may leave the sweep's question lying before it counts as gone."""
SWEEP_EVERY = timedelta(minutes=10)
SWEEP_CATCH_UP = timedelta(minutes=1)
"""A sweep that couldn't begin within this time, for want of a server, is left out."""
