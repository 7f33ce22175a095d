"""What a sandbox is to the rest of Genesis, whoever provides it.

Untrusted code's failure is a value (`RunResult`, `TrialResult`); a sandbox that can't be had or that died is an
exception. All calls block, and may be made from any thread; one sandbox carries out one call at a time, different
sandboxes carry out theirs side by side.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from schemas.sandbox import Entry, Limits, ProviderName, RunResult, SandboxInfo, TrialOrder, TrialResult

OnWait = Callable[[], None]
"""Called about once a second while a call waits. Where it raises, the sandbox is killed and the exception goes on."""

_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")


class SandboxError(Exception):
    """The base of what goes wrong with sandboxes themselves."""


class SandboxUnavailable(SandboxError):
    """A provider can't work on this machine. The text says why, and what to install or change."""


class SandboxLost(SandboxError):
    """The sandbox died, or isn't held here. What was in it is gone; the step can be redone in a new one."""


class SandboxRefusal(SandboxError, ValueError):
    """The sandbox won't do what was asked. `kind` is one of `path` (it leaves the workspace, or is no path), `missing`,
    `not_regular` (a link, directory, FIFO or device), `too_large`, `disk_full`, or `changed` (a file that was put from
    outside is no longer what was put)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@runtime_checkable
class Sandbox(Protocol):
    """One isolated place: a workspace, and processes that can reach nothing else.

    Every method raises SandboxLost where the sandbox has died or was destroyed.
    """

    @property
    def info(self) -> SandboxInfo: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def alive(self) -> bool:
        """Whether it can still be used."""
        ...

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write files, by path below the workspace; directories are made, what stands there is replaced.

        Raises SandboxRefusal (path, not_regular, disk_full).
        """

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        on_wait: OnWait | None = None,
    ) -> RunResult:
        """Run a command in the workspace, without a shell, for at most `timeout` seconds; then kill all it started.

        `python3` finds numpy, pandas, talib and backtesting. An unknown command is exit code 127. Where the command
        took the whole sandbox with it (out of memory), the result says so, and the next call raises SandboxLost.
        """

    def trial(
        self,
        order: TrialOrder,
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        on_wait: OnWait | None = None,
    ) -> TrialResult:
        """Run one backtest on files that were put, in a fork of the preloaded interpreter.

        `env` is in the environment of this trial and of nothing else: neither an argument nor a file holds it.

        Either `trades` (a claim of untrusted code, within bounds but otherwise unchecked) or `error` is set.
        Raises SandboxRefusal (missing, changed, too_large; path where the data can't be read as market data).
        """

    def prepare(self) -> None:
        """Make the process of the first trial ahead of it: what a stock does while nobody waits. It takes some 12 MB,
        and a run instead of a trial ends it unused."""

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """A regular file's bytes. Raises SandboxRefusal (path, missing, not_regular, too_large)."""

    def list(self, *, limit: int = 1000) -> Sequence[Entry]:
        """What lies in the workspace, links and FIFOs told as such; at most `limit` entries."""

    def peak_memory_mb(self) -> float | None:
        """Most memory that the sandbox as a whole has used so far; None where nothing counts it."""

    def destroy(self) -> None:
        """End it: nothing runs in it any more, it isn't listed, and its name is free. What the provider has yet to take
        down goes by itself, and `close` waits for that. Idempotent; never raises SandboxLost."""


@runtime_checkable
class SandboxProvider(Protocol):
    """A way of making sandboxes on this host."""

    @property
    def name(self) -> ProviderName: ...

    def check(self) -> None:
        """Raises SandboxUnavailable where no sandbox can be made, saying why and what to do."""

    def image(self) -> str:
        """What its sandboxes run on, for the record: names the system, the interpreter and the harness."""

    def weaknesses(self) -> Sequence[str]:
        """What holds less than it should on this host, one sentence each; empty where all of it holds."""

    def create(self, sandbox_id: str, *, limits: Limits, labels: Mapping[str, str]) -> Sandbox:
        """Make a sandbox and wait until it serves.

        Asked again for an id that this object holds alive, it gives the same one; whatever else has the id (dead, or
        left by another process) is replaced. Raises SandboxUnavailable, SandboxLost where it died while starting, and
        OSError where the host is short of something.
        """

    def list(self, labels: Mapping[str, str] | None = None) -> Sequence[SandboxInfo]:
        """The living sandboxes of this host, of any process, that carry all of `labels`; oldest first."""

    def destroy(self, sandbox_id: str) -> bool:
        """End a sandbox, whoever made it; whether there was one. Idempotent."""

    def close(self) -> None:
        """Destroy what this object holds. It can't be used afterwards."""


def check_id(sandbox_id: str) -> str:
    """The id, or ValueError: it becomes a file name, a container's name and a cgroup."""
    if not _ID.match(sandbox_id):
        raise ValueError(
            f"'{sandbox_id}' can't be a sandbox id; allowed are up to 100 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    return sandbox_id


def carries(info: SandboxInfo, labels: Mapping[str, str] | None) -> bool:
    """Whether a sandbox carries all of `labels`."""
    return all(info.labels.get(key) == value for key, value in (labels or {}).items())
