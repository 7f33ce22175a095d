"""Sandboxes: what one may use, what became of a command or a trial in it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.base import Shape

ProviderName = Literal["bubblewrap", "docker"]


class Limits(Shape):
    """What one sandbox may use. Enforced from outside where the host allows it, else by rlimits."""

    memory_mb: Annotated[int, Field(ge=64, le=65536)] = 1024
    cpus: Annotated[float, Field(gt=0, le=64)] = 1.0
    processes: Annotated[int, Field(ge=8, le=4096)] = 64
    disk_mb: Annotated[int, Field(ge=1, le=65536)] = 256
    output_kb: Annotated[int, Field(ge=1, le=65536)] = 1024
    """Of stdout and stderr each; more is cut, and said to be."""


class SandboxInfo(Shape):
    """A sandbox as its provider lists it."""

    sandbox_id: str
    provider: ProviderName
    labels: dict[str, str]
    created: float
    """Seconds since the epoch."""


class Entry(Shape):
    """One thing in a sandbox's workspace."""

    path: str
    kind: Literal["file", "directory", "link", "other"]
    size: int


class ReleaseInfo(Shape):
    """What one sandbox's life came to."""

    sandbox_id: str
    provider: ProviderName
    seconds: float
    """From the lease to the end."""
    peak_memory_mb: float | None = None


class RunResult(Shape):
    """What became of one command. Its failure is a value; a dead sandbox is an exception."""

    exit_code: int | None
    """None where it was ended by a signal or never ended by itself."""
    signal: int | None = None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    timed_out: bool = False
    out_of_memory: bool = False
    output_truncated: bool = False
    too_many_processes: bool = False
    disk_full: bool = False

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not (self.timed_out or self.out_of_memory)


class TrialOrder(Shape):
    """One backtest: which files of the sandbox's workspace, with what."""

    code: str
    """Path of the module in the workspace."""
    entrypoint: str
    data: str
    """Path of the canonical CSV in the workspace."""
    cash: float = 1_000_000.0
    commission: float = 0.0
    spread: float = 0.0
    """Of the price, paid at entry."""
    finalize: bool = True
    """Whether what is open at the end is closed there."""


class TrialError(Shape):
    """Where untrusted code failed. `line` is in the strategy's own module, where one can be found."""

    stage: Literal["load", "run"]
    type: str
    message: str
    line: int | None = None


class TrialResult(Shape):
    """One trial's outcome. All but `run` is what untrusted code claims: raw, to be checked by the judge."""

    run: RunResult
    trades: list[dict[str, Any]] | None = None
    open: list[Any] = []
    """Trades that were left open at the end."""
    book: list[Any] = []
    """The orders that stood as bars opened (domain.book)."""
    stats: dict[str, Any] = {}
    """Figures that the engine computed itself."""
    indicators: list[Any] = []
    """What the strategy computed: name, rows, float64 values in base64."""
    error: TrialError | None = None
