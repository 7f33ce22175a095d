"""Real git on real repositories."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.library import CommitRef, MergeOutcome
from services.library import Library

Git = Callable[..., str]


def strategy_files(strategy: str, code: str, definition: str, metrics: str | None) -> dict[str, str]:
    """A strategy's files where the library has them."""
    folder = f"strategies/{strategy}"
    files = {f"{folder}/strategy.py": code, f"{folder}/definition.json": definition}
    return files | ({f"{folder}/metrics.json": metrics} if metrics is not None else {})


class Lab:
    """Does with a library what an experiment does."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def commit(
        self,
        experiment: str,
        strategy: str = "Alpha",
        *,
        code: str | None = None,
        metrics: str | None = None,
        base: str | None = None,
    ) -> CommitRef:
        return self.library.commit_files(
            branch=f"ai/generate/{strategy}/{experiment}",
            files=strategy_files(strategy, code or f"# by {experiment}\n", "{}\n", metrics),
            message=f"Generate {strategy}\n\nFrom its definition.",
            trailers={"Experiment-Id": experiment},
            base=base,
            key=f"{experiment}/generate",
        )

    def merge(self, ref: CommitRef, experiment: str, strategy: str = "Alpha") -> MergeOutcome:
        return self.library.squash_merge(
            commit=ref.commit,
            strategy=strategy,
            subject=f"Merge {strategy}",
            body="Every gate passes.",
            trailers={"Experiment-Id": experiment, "Engine": "offline"},
        )

    def run(self, experiment: str, strategy: str = "Alpha", metrics: str | None = None) -> MergeOutcome:
        return self.merge(self.commit(experiment, strategy, metrics=metrics), experiment, strategy)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library.git")


@pytest.fixture
def lab(library: Library) -> Lab:
    return Lab(library)


@pytest.fixture
def new_lab() -> Callable[..., Lab]:
    return lambda *args, **kwargs: Lab(Library(*args, **kwargs))


@pytest.fixture
def git() -> Git:
    """Plain git, as a person calls it."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "Somebody", f"GIT_{role}_EMAIL": "somebody@localhost"}

    def run(repository: Path, *arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout.strip()

    return run
