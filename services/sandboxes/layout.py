"""What a bubblewrap sandbox sees: a read-only system, this interpreter and a strategy's packages at neutral places, and
one workspace. Nothing of a home directory, of the project or of its data."""

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from schemas.sandbox import Limits
from services.sandboxes.image import harness_files
from services.sandboxes.packages import closure, top_level_paths
from services.sandboxes.served import SCRATCH, SMALL

WORKSPACE = "/workspace"
LIBRARIES = "/opt/site"
HARNESS = "/opt/genesis/harness"
PYTHON = "/opt/python"
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True)
class Layout:
    """Host paths bound read-only, by their place inside, and the interpreter inside."""

    binds: dict[str, Path]
    python: str

    def arguments(self, limits: Limits) -> list[str]:
        """bubblewrap's options that build the file system, in order."""
        built = ["--ro-bind", "/usr", "/usr"]
        for name in _SYSTEM:
            outside = Path("/") / name
            if outside.is_symlink():
                built += ["--symlink", os.readlink(outside), f"/{name}"]
            elif outside.is_dir():
                built += ["--ro-bind", str(outside), f"/{name}"]
        # named, because directories that bubblewrap makes on the way are for their owner alone
        for place in ("/opt", LIBRARIES, str(Path(HARNESS).parent)):
            built += ["--dir", place]
        for inside, outside in self.binds.items():
            built += ["--ro-bind", str(outside), inside]
        built += ["--proc", "/proc", "--dev", "/dev"]
        writable = dict.fromkeys(SCRATCH, SMALL) | {WORKSPACE: limits.disk_mb << 20}
        for inside, size in writable.items():
            built += ["--perms", "1777", "--size", str(size), "--tmpfs", inside]
        # these stand on file systems of bubblewrap's own, which nothing else bounds
        return [*built, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORKSPACE]

    def unreadable(self) -> list[Path]:
        """Bound places that another user than their owner can't read."""
        closed = []
        for place in self.binds.values():
            mode = place.stat().st_mode
            needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
            if mode & needed != needed:
                closed.append(place)
        return closed


def find_layout() -> Layout:
    """From the running interpreter. Raises MissingPackage and FileNotFoundError."""
    binds = {f"{LIBRARIES}/{name}": place for name, place in top_level_paths(closure()).items()}
    binds[HARNESS] = harness_files()
    prefix, executable = Path(sys.base_prefix).resolve(), Path(sys.executable).resolve()
    if prefix.is_relative_to("/usr"):
        return Layout(binds, str(executable))
    binds[PYTHON] = prefix
    return Layout(binds, f"{PYTHON}/{executable.relative_to(prefix)}")
