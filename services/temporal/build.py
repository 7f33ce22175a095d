"""Which code a worker runs, as Temporal is told: shown with each workflow task, in the Web UI and in histories."""

from functools import cache
from pathlib import Path

from services.digests import of_modules

ROOMS = ("schemas", "domain", "workflows", "activities", "services", "harness")
_ROOT = Path(__file__).parents[2]


@cache
def build_id() -> str:
    """`genesis-` and the first 12 hex digits of a SHA-256 over the names and contents of our modules.

    Told nothing, the SDK reads every module of the process for this, of which thousands are others': nearly half a
    second at each start of a worker.
    """
    return f"genesis-{of_modules(_ROOT, *ROOMS)[:12]}"
