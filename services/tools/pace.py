"""How many calls a session may make in a stretch of time."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable

from services.tools.errors import ToolRefused

CALLS, SECONDS = 100, 60.0
"""A hundred calls in any sixty seconds."""


class Pace:
    """At most `calls` in any `seconds`, for each session by itself. Thread-safe; refused calls don't count.

    Its memory is bounded by the sessions that called within the last `seconds`.
    """

    def __init__(
        self, calls: int = CALLS, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if calls < 1 or not seconds > 0:
            raise ValueError(
                f"{calls} calls in {seconds:g} s is no pace; allow at least one, in more than 0 s"
            )
        self._calls, self._seconds, self._clock = calls, seconds, clock
        self._made: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def admit(self, session: str) -> None:
        """Count one call. Raises ToolRefused (rate_limited), which says when to try again."""
        with self._lock:
            now = self._clock()
            for name, made in list(self._made.items()):
                while made and made[0] <= now - self._seconds:
                    made.popleft()
                if not made:
                    del self._made[name]
            made = self._made.setdefault(session, deque())
            if len(made) >= self._calls:
                wait = math.ceil((made[0] + self._seconds - now) * 1000) / 1000
                raise ToolRefused(
                    "rate_limited",
                    f"session {session} has made {self._calls} calls in {self._seconds:g} s, the most it may; "
                    f"try again in {wait:.3f} s",
                    retry_after_seconds=wait,
                )
            made.append(now)
