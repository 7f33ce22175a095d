"""Which versions of which strategies `main` holds: read from its commits, whose trailers say so."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.library import VersionInfo
from services.library.names import tag_name, trailers_of
from services.library.repository import Commit, Repository

EXPERIMENT_ID = "Experiment-Id"
ENGINE = "Engine"
STEP_KEY = "Step-Key"
STRATEGY = "Strategy"
VERSION = "Strategy-Version"
"""The last two are `squash_merge`'s own: `main` alone says which version is which, and tags follow it."""

Value = float | int | str | None

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Merge:
    """A commit of `main` that brought a version of a strategy."""

    commit: Commit
    strategy: str
    version: int
    trailers: Mapping[str, str]

    @property
    def experiment_id(self) -> str:
        return self.trailers.get(EXPERIMENT_ID, "")

    @property
    def tag(self) -> str:
        return tag_name(self.strategy, self.version)


def read_merge(commit: Commit) -> Merge | None:
    """The merge that a commit is, or None: people may have committed other things to `main`."""
    trailers = trailers_of(commit.message)
    strategy, version = trailers.get(STRATEGY), trailers.get(VERSION, "")
    if not strategy or not _NUMBER.fullmatch(version):
        return None
    return Merge(commit, strategy, int(version), trailers)


def merges(repository: Repository, head: str, *lines: str) -> list[Merge]:
    """The merges on `head`, last to first; only those with one of `lines` in their message, where any are given."""
    wanted = [f"--grep={line}" for line in lines or (f"{VERSION}: ",)]
    found = map(read_merge, repository.log("--first-parent", "--fixed-strings", *wanted, head))
    return [merge for merge in found if merge]


def describe(repository: Repository, found: list[Merge]) -> list[VersionInfo]:
    """What each merge brought, with its metrics. One git process for all."""
    places = [(merge.commit.sha, f"strategies/{merge.strategy}/metrics.json") for merge in found]
    return [
        VersionInfo(
            strategy=merge.strategy,
            version=merge.version,
            tag=merge.tag,
            commit=merge.commit.sha,
            merged_at=merge.commit.committed_at,
            experiment_id=merge.experiment_id,
            engine=merge.trailers.get(ENGINE, ""),
            subject=merge.commit.message.partition("\n")[0],
            metrics=_metrics(blob),
        )
        for merge, blob in zip(found, repository.blobs(places), strict=True)
    ]


def _metrics(blob: bytes | None) -> dict[str, Value]:
    if blob is None:
        return {}
    try:
        values = json.loads(blob)
    except (ValueError, RecursionError) as error:
        return {"error": f"metrics.json can't be read: {error}"}
    if not isinstance(values, dict):
        return {"error": f"metrics.json holds a {type(values).__name__} where an object is expected"}
    return {
        key: value for key, value in values.items() if value is None or isinstance(value, float | int | str)
    }
