"""git as a person would call it, to make repositories for tests and to look at what became of them."""

import os
import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """What `git <arguments>` prints in `folder`. Raises CalledProcessError."""
    done = subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@localhost", *arguments],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
    )
    return done.stdout.strip()
