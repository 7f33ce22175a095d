"""Control groups of bubblewrap's sandboxes, version 1 and 2, where this process may write them.

A sandbox's group lies below a group that this process belongs to, never beside it: whatever bounds the worker bounds
its sandboxes too. Sources: Linux's admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from schemas.sandbox import Limits
from services.sandboxes.served import Counters

CONTROLLERS = ("memory", "pids", "cpu")
_PERIOD = 100_000  # microseconds
_REMOVAL = 5.0  # seconds until a group that stays busy is given up


@dataclass(frozen=True)
class Group:
    """One sandbox's group: for each controller its directory (version 2 has one for all)."""

    places: dict[str, Path]
    unified: bool

    def add(self, pid: int) -> None:
        for place in set(self.places.values()):
            (place / "cgroup.procs").write_text(str(pid))

    def counters(self) -> Counters:
        memory = "memory.events" if self.unified else "memory.oom_control"
        return Counters(
            oom_kills=self._value("memory", memory, "oom_kill") or 0,
            refused_forks=self._value("pids", "pids.events", "max") or 0,
        )

    def peak_memory_mb(self) -> float | None:
        peak = self._read("memory", "memory.peak" if self.unified else "memory.max_usage_in_bytes")
        return round(int(peak) / (1 << 20), 1) if peak else None

    def kill(self) -> None:
        """Kill every process in it: the net below the end of the process namespace."""
        for place in set(self.places.values()):
            with suppress(OSError):
                if self.unified and (place / "cgroup.kill").exists():
                    (place / "cgroup.kill").write_text("1")
                    continue
                for pid in (place / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)

    def remove(self) -> bool:
        """Remove it, waiting while the kernel still counts ended processes in it; whether all of it is gone."""
        deadline = time.monotonic() + _REMOVAL
        left = set(self.places.values())
        while True:
            for place in [*left]:
                try:
                    place.rmdir()
                except FileNotFoundError:
                    pass
                except OSError:
                    continue
                left.discard(place)
            if not left or time.monotonic() > deadline:
                return not left
            self.kill()
            time.sleep(0.001)

    def _value(self, controller: str, file: str, key: str) -> int | None:
        for line in (self._read(controller, file) or "").splitlines():
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
        return None

    def _read(self, controller: str, file: str) -> str | None:
        place = self.places.get(controller)
        if place is None:
            return None
        try:
            return (place / file).read_text().strip()
        except OSError:
            return None


@dataclass(frozen=True)
class Groups:
    """Where sandboxes' groups can be made. `bases` holds a writable directory for each controller that works."""

    bases: dict[str, Path] = field(default_factory=dict)
    unified: bool = False

    @property
    def missing(self) -> list[str]:
        return [name for name in CONTROLLERS if name not in self.bases]

    @classmethod
    def find(cls, proc: Path = Path("/proc/self")) -> Self:
        """Reads this process's place from `proc`. Finds nothing where nothing can be written."""
        mounts = _mounts(proc)
        memberships = [line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines()]
        bases: dict[str, Path] = {}
        for _, names, path in memberships:
            for name in names.split(","):
                if name in CONTROLLERS and (place := _place(mounts.get(name), path)) and _usable(place):
                    bases[name] = place
        if bases:
            return cls(bases)
        for _, names, path in memberships:
            place = _place(mounts.get("unified"), path) if not names else None
            if place and (base := _delegated(place, mounts["unified"][0])):
                offered = (base / "cgroup.subtree_control").read_text().split()
                return cls({name: base for name in CONTROLLERS if name in offered}, unified=True)
        return cls()

    def create(self, name: str, limits: Limits, memory: int) -> Group | None:
        """A new group (one that stands there is emptied and replaced); None where there are no controllers.
        `memory` in bytes: processes and workspace together. Raises OSError where the kernel refuses a limit.
        """
        if not self.bases:
            return None
        group = self.named(name)
        if any(place.exists() for place in group.places.values()):
            group.remove()
        settings = self._settings(limits, memory)
        for controller, place in group.places.items():
            place.mkdir(exist_ok=True)
            for file, value in settings[controller].items():
                if (place / file).exists():
                    (place / file).write_text(value)
        return group

    def named(self, name: str) -> Group:
        return Group({controller: base / name for controller, base in self.bases.items()}, self.unified)

    def _settings(self, limits: Limits, memory: int) -> dict[str, dict[str, str]]:
        quota, processes = str(max(1000, int(limits.cpus * _PERIOD))), str(
            limits.processes + 1
        )  # the harness is one
        if self.unified:
            return {
                "memory": {"memory.max": str(memory), "memory.swap.max": "0"},
                "pids": {"pids.max": processes},
                "cpu": {"cpu.max": f"{quota} {_PERIOD}"},
            }
        return {
            # memory and swap together are bounded after memory alone: the kernel wants them in this order
            "memory": {"memory.limit_in_bytes": str(memory), "memory.memsw.limit_in_bytes": str(memory)},
            "pids": {"pids.max": processes},
            "cpu": {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": quota},
        }


def _mounts(proc: Path) -> dict[str, tuple[Path, str]]:
    """Mount point and root of each version 1 controller, and of version 2 as `unified`."""
    found: dict[str, tuple[Path, str]] = {}
    for line in (proc / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split(maxsplit=2)
        if kind == "cgroup2":
            found.setdefault("unified", (Path(point), root))
        elif kind == "cgroup":
            for option in options.split()[-1].split(","):
                found.setdefault(option, (Path(point), root))
    return found


def _place(mount: tuple[Path, str] | None, path: str) -> Path | None:
    """A group's directory. In a container the mount shows only a part of the tree, which begins at its root."""
    if mount is None:
        return None
    point, root = mount
    inside = os.path.relpath(path, root)
    place = point if inside.startswith("..") else point / inside
    return place if place.is_dir() else None


def _usable(place: Path) -> bool:
    return os.access(place, os.W_OK) and os.access(place / "cgroup.procs", os.W_OK)


def _delegated(place: Path, top: Path) -> Path | None:
    """The nearest version 2 group, from `place` upwards, that this process may fill with groups of its own and that
    hands memory and pids on to them."""
    for base in (place, *place.parents):
        if not base.is_relative_to(top):
            return None
        if _usable(base) and {"memory", "pids"} <= set((base / "cgroup.subtree_control").read_text().split()):
            return base
    return None
