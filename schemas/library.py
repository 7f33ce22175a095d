"""The library of merged strategies."""

from typing import Literal

from schemas.base import Shape, UtcTime
from schemas.code import Sha


class CommitRef(Shape):
    branch: str
    commit: Sha


class BranchInfo(Shape):
    """One experiment's branch."""

    name: str
    commit: Sha
    committed_at: UtcTime
    experiment_id: str
    """From the commit's trailer, else the last part of the branch's name."""


class MergeOutcome(Shape):
    """What a merge came to. A conflict is a value: nothing was changed."""

    status: Literal["merged", "already_merged", "conflict"]
    commit: Sha | None = None
    tag: str | None = None
    conflicts: list[str] = []
    """Paths, where status is conflict."""


class VersionInfo(Shape):
    """One merged version of a strategy."""

    strategy: str
    version: int
    """Counts from 1 for each strategy."""
    tag: str
    commit: Sha
    merged_at: UtcTime
    experiment_id: str
    engine: str
    subject: str
    metrics: dict[str, float | int | str | None] = {}
    """From the merged metrics.json: its plain values. `error` says why where it can't be read."""


class StrategyInfo(Shape):
    """One strategy of the library."""

    name: str
    versions: int
    latest: VersionInfo


class Comparison(Shape):
    """Two versions side by side."""

    strategy: str
    left: VersionInfo
    right: VersionInfo
    diff: str
    """Unified diff of all files, left to right."""
    metrics: dict[str, tuple[float | int | str | None, float | int | str | None]]
