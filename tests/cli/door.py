"""The command line as a process of its own, and what it said."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "starter.py"


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; fails where anything else stands there."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict), self.stdout
        return found

    @property
    def said(self) -> str:
        return f"exit code {self.code}\n{self.stdout}\n{self.stderr}"


def environment(home: Path, **more: str) -> dict[str, str]:
    """The caller's, without its settings for Genesis and Temporal."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GENESIS_", "TEMPORAL_"))}
    return kept | {"GENESIS_HOME": str(home), "GENESIS_SANDBOXES_READY": "0", **more}


def arguments(*given: object) -> list[str]:
    return [sys.executable, str(STARTER), *map(str, given)]


def worker_process(home: Path, *flags: str, **env: str) -> "subprocess.Popen[str]":
    """`worker.py`, whose words are to be read from its stderr."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "worker.py"), *flags],
        cwd=ROOT,
        env=environment(home, **env),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def worker(home: Path, **env: str) -> Iterator[None]:
    """`worker.py` as a process of its own, from its first word that it serves until it has ended."""
    with worker_process(home, **env) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            assert " serves " in said, said + process.stderr.read()
            yield
        finally:
            process.terminate()


def starter(home: Path, *given: object, seconds: float = 90, **env: str) -> Outcome:
    """Run `starter.py` to its end; no traceback is ever shown to a person."""
    done = subprocess.run(
        arguments(*given),
        cwd=ROOT,
        env=environment(home, **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    outcome = Outcome(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
    assert "Traceback" not in outcome.stderr, outcome.said
    return outcome
