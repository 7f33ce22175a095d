"""Worker processes without the seconds of imports: a server process has done those (tests.support.warm), and forks each
worker from itself.

A forked worker is a process of its own all the same: its own session, environment and log, killed and ended like any.
Loading the worker anew took three quarters of the time that these tests had on the CPU.
"""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.warm"])


def _run(plan: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> None:
    from tests.support.worker import main

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    asyncio.run(main([*plan]))


class ForkedWorker:
    """As much of subprocess.Popen as the tests use."""

    def __init__(self, plan: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> None:
        self._process = _context.Process(target=_run, args=(plan, dict(env), folder, log))
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self._process.exitcode) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"worker {self.pid}", timeout or 0.0)
            self._process.join(0.1)
        return code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)
