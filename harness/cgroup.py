"""The sandbox's own counters, where its cgroup can be seen from inside (containers). Zeros elsewhere: the provider
then reads them from outside."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Counters:
    oom_kills: int = 0
    refused_forks: int = 0
    peak_kb: int = 0
    """Most memory that the whole sandbox has used since it began."""


def read_counters() -> Counters:
    """cgroup v2 files first, then v1's."""
    return Counters(
        oom_kills=_value("oom_kill", ROOT / "memory.events", ROOT / "memory" / "memory.oom_control"),
        refused_forks=_value("max", ROOT / "pids.events", ROOT / "pids" / "pids.events"),
        peak_kb=_number(ROOT / "memory.peak", ROOT / "memory" / "memory.max_usage_in_bytes") // 1024,
    )


def _number(*files: Path) -> int:
    for file in files:
        try:
            return int(file.read_text())
        except (OSError, ValueError):
            continue
    return 0


def _value(key: str, *files: Path) -> int:
    for file in files:
        try:
            lines = file.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
    return 0
