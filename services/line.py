"""The line for a sandbox: first come, first served, over all workers and hosts; it survives restarts.

A turn is a row among the leases. It keeps its place by when it was first taken, and counts while it is renewed: whoever
stopped asking (a terminated run, say) doesn't hold up those behind.
"""

from datetime import UTC, datetime, timedelta

from services.records import Records

TURN = "turn"
PATIENCE = timedelta(seconds=30)
"""How long a turn counts after it was last asked for: three times the longest pause of who asks (workflows.timing)."""


class Line:
    def __init__(self, records: Records) -> None:
        self._records = records

    def look(self, name: str) -> tuple[int, bool]:
        """How many come before `name`, all that wait where it doesn't stand in line; and whether it does."""
        turns = self._records.leases(kind=TURN)
        turns.sort(key=lambda turn: (turn.created, turn.name))
        names = [turn.name for turn in turns]
        stands = name in names
        before = turns[: names.index(name)] if stands else turns
        now = datetime.now(UTC)
        return sum(turn.expires > now for turn in before), stands

    def stand(self, name: str, experiment_id: str, host: str) -> int:
        """Take the last place, or keep the one that `name` has; the place, counted from 1."""
        self._records.open_lease(TURN, name, experiment_id, host, datetime.now(UTC) + PATIENCE)
        return self.look(name)[0] + 1

    def leave(self, name: str) -> None:
        """Give the place up. Idempotent."""
        self._records.release_lease(TURN, name)
