"""Which code a worker runs, as Temporal is told: shown with each workflow task, in the Web UI and in histories."""

import hashlib
from functools import cache
from pathlib import Path

ROOMS = ("schemas", "domain", "workflows", "activities", "services", "harness")
_ROOT = Path(__file__).parents[2]


@cache
def build_id() -> str:
    """`genesis-` and the first 12 hex digits of a SHA-256 over the names and contents of our modules.

    Told nothing, the SDK reads every module of the process for this, of which thousands are others': nearly half a
    second at each start of a worker.
    """
    digest = hashlib.sha256()
    for room in ROOMS:
        for file in sorted((_ROOT / room).rglob("*.py")):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(_ROOT)}\0{len(content)}\0".encode() + content)
    return f"genesis-{digest.hexdigest()[:12]}"
