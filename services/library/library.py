"""The library: experiments' branches, squash merges onto `main`, versions of strategies."""

import random
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from schemas.library import BranchInfo, CommitRef, Comparison, MergeOutcome, StrategyInfo, VersionInfo
from services.library.errors import LibraryError, LibraryUnavailable
from services.library.names import (
    EXPERIMENTS,
    branch_ref,
    compose,
    contents,
    file_path,
    nearest,
    strategy_name,
    tag_name,
    trailers_of,
)
from services.library.refs import Move
from services.library.repository import MAIN_REF, Repository
from services.library.versions import (
    EXPERIMENT_ID,
    STEP_KEY,
    STRATEGY,
    VERSION,
    Merge,
    Value,
    describe,
    merges,
)

T = TypeVar("T")

_ATTEMPTS = 100
"""Of a move that others outrun; with 20 writers at once, the unluckiest needs 20."""


class Library:
    """A library at a path, or at a URL with a local mirror (see Repository). Made on first use.

    Methods block and may be called from several threads and processes. All raise LibraryError, which trying
    again won't mend, or LibraryUnavailable, which it may. No checkout is made and no lock is held: refs move by
    compare-and-swap, so a process killed at any point leaves a library that works.
    """

    def __init__(self, location: str | Path, *, mirror: Path | None = None) -> None:
        self._repository = Repository(location, mirror)
        self._turn = threading.RLock()
        """Spares threads of one process from outrunning each other. Nothing depends on it."""

    @property
    def path(self) -> Path:
        """The bare repository on this machine."""
        return self._repository.path

    # Experiments' branches

    def commit_files(
        self,
        *,
        branch: str,
        files: Mapping[str, str],
        message: str,
        trailers: Mapping[str, str],
        base: str | None = None,
        key: str,
    ) -> CommitRef:
        """Commit `files` (path to text) on top of the branch and move it there.

        `base` is the commit to build on; None takes the branch's tip, or `main` for a new branch. `key` names the
        step that commits: where the branch has a commit with that `Step-Key` already, it is returned and nothing
        is written; the same key with other files is an error, and so is a branch that isn't at `base`.
        """
        ref = branch_ref(branch)
        if not files:
            raise LibraryError(f"nothing to commit on {branch}; give at least one file")
        written = contents(files)
        subject, _, body = message.partition("\n")
        text = compose(subject, body, {**trailers, STEP_KEY: key})

        def attempt() -> CommitRef | None:
            tip = self._repository.tip(ref)
            if tip and (made := self._made_by(key, tip)):
                self._check_same(made, written, branch, key)
                return CommitRef(branch=branch, commit=made)
            parent = self._repository.resolve(base) if base else tip or self._main()
            if tip and tip != parent:
                raise LibraryError(
                    f"branch {branch} is at {tip[:12]}, not at {parent[:12]} where step '{key}' begins: another "
                    "step has written to it; delete the branch and run the experiment again"
                )
            commit = self._repository.commit(self._repository.tree_with(parent, written), parent, text)
            moved = self._repository.move([Move(ref, commit, tip)])
            return CommitRef(branch=branch, commit=commit) if moved else None

        return self._until_moved(f"branch {branch}", attempt)

    def delete_branch(self, branch: str) -> bool:
        """Delete an experiment's branch; False where there is none."""
        ref = branch_ref(branch)

        def attempt() -> bool | None:
            tip = self._repository.tip(ref)
            if tip is None:
                return False
            return self._repository.move([Move(ref, None, tip)]) or None

        return self._until_moved(f"branch {branch}", attempt)

    def branches(self) -> list[BranchInfo]:
        """Experiments' branches, by name."""
        self._repository.refresh()
        fields = ("%(refname:lstrip=2)", "%(objectname)", "%(committerdate:unix)", "%(contents)")
        output = self._repository.git(
            "for-each-ref", f"--format={'%00'.join(fields)}%00", f"refs/heads/{EXPERIMENTS}"
        ).output.decode("utf-8", "replace")
        parts = output.split("\0")[:-1]
        found = []
        for name, commit, seconds, message in zip(*[iter(parts)] * 4, strict=True):
            name = name.lstrip("\n")
            experiment = trailers_of(message).get(EXPERIMENT_ID) or name.rpartition("/")[2]
            at = datetime.fromtimestamp(int(seconds), UTC)
            found.append(BranchInfo(name=name, commit=commit, committed_at=at, experiment_id=experiment))
        return found

    def cleanup(self, older_than: timedelta, keep: Container[str] = ()) -> list[str]:
        """Delete branches last written longer ago than `older_than`, except those of experiments in `keep`.

        Returns the names that this call deleted: a branch that is written to meanwhile stays. Also clears what killed
        processes left in the repository.
        """
        limit = datetime.now(UTC) - older_than
        old = [one for one in self.branches() if one.committed_at < limit and one.experiment_id not in keep]
        deleted = [
            one.name for one in old if self._repository.move([Move(branch_ref(one.name), None, one.commit)])
        ]
        self._repository.git.sweep(timedelta(days=1))
        self._repository.git("gc", "--auto", "--quiet")
        return deleted

    # What is in it

    def head(self) -> str:
        """The commit that `main` is at."""
        self._repository.refresh()
        return self._main()

    def read(self, commit: str, path: str) -> str:
        """One file of a commit."""
        sha = self._resolve(commit)
        (blob,) = self._repository.blobs([(sha, file_path(path))])
        if blob is None or path not in self._repository.paths(sha, path.rpartition("/")[0] or None):
            known = self._repository.paths(sha)
            raise LibraryError(f"commit {sha[:12]} has no file {path}; {nearest(path, known)}")
        return _text(path, blob)

    def diff(self, base: str, commit: str, paths: Sequence[str] | None = None) -> str:
        """Unified diff from `base` to `commit`, of `paths` (files or folders) only where given."""
        inside = [file_path(path.rstrip("/")) for path in paths or ()]
        return self._repository.git(
            *("diff-tree", "-r", "-p", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames"),
            *(self._resolve(base), self._resolve(commit), "--", *inside),
        ).output.decode("utf-8", "replace")

    def diff_against_main(self, commit: str) -> str:
        """What `commit` changes, seen from where its branch left `main`."""
        sha = self._resolve(commit)
        return self.diff(self._repository.merge_base(self._main(), sha), sha)

    def strategies(self) -> list[StrategyInfo]:
        """Every strategy with its latest version, by name."""
        merged: dict[str, list[Merge]] = {}
        for merge in merges(self._repository, self.head()):
            merged.setdefault(merge.strategy, []).append(merge)
        latest = describe(self._repository, [of_one[0] for _, of_one in sorted(merged.items())])
        return [
            StrategyInfo(name=info.strategy, versions=len(merged[info.strategy]), latest=info)
            for info in latest
        ]

    def versions(self, name: str) -> list[VersionInfo]:
        """The merged versions of a strategy, first to last. For an unknown name the error says the nearest."""
        strategy_name(name)
        merged = merges(self._repository, self.head())
        found = [merge for merge in merged if merge.strategy == name]
        if not found:
            known = sorted({merge.strategy for merge in merged})
            raise LibraryError(f"the library has no strategy {name}; {nearest(name, known)}")
        return describe(self._repository, found[::-1])

    def compare(self, name: str, left: int, right: int) -> Comparison:
        """Two versions of a strategy: the diff of its files, and each metric side by side."""
        versions = {info.version: info for info in self.versions(name)}
        for number in (left, right):
            if number not in versions:
                there = ", ".join(map(str, versions))
                raise LibraryError(f"{name} has no version {number}; it has {there}")
        one, other = versions[left], versions[right]
        metrics: dict[str, tuple[Value, Value]] = {
            key: (one.metrics.get(key), other.metrics.get(key)) for key in {**one.metrics, **other.metrics}
        }
        return Comparison(
            strategy=name,
            left=one,
            right=other,
            diff=self.diff(one.commit, other.commit, [f"strategies/{name}"]),
            metrics=metrics,
        )

    # Merging

    def squash_merge(
        self,
        *,
        commit: str,
        strategy: str,
        subject: str,
        body: str = "",
        trailers: Mapping[str, str],
        files: Mapping[str, str] | None = None,
    ) -> MergeOutcome:
        """Put what `commit` changes onto `main` as one commit, tagged as the next version of `strategy`.

        `files` (path to text) are written over the merged tree: what is known only once the code was judged.
        `trailers` must name the Experiment-Id: where `main` has a merge of that experiment, it is the outcome
        (`already_merged`), and its tag is made should it be missing. A conflict changes nothing.
        """
        strategy_name(strategy)
        experiment = trailers.get(EXPERIMENT_ID)
        if not experiment:
            raise LibraryError(
                f"a merge of {strategy} needs the trailer {EXPERIMENT_ID}; it makes a retry safe"
            )
        compose(subject, body, trailers)
        added = contents(files or {})

        def attempt() -> MergeOutcome | None:
            main = self._main()
            found = merges(
                self._repository, main, f"{EXPERIMENT_ID}: {experiment}", f"{STRATEGY}: {strategy}"
            )
            if done := [merge for merge in found if merge.experiment_id == experiment]:
                return MergeOutcome(
                    status="already_merged", commit=done[0].commit.sha, tag=self._tag(done[0])
                )
            tree, conflicts = self._repository.merge_trees(main, self._repository.resolve(commit))
            if tree is None:
                return MergeOutcome(status="conflict", conflicts=conflicts)
            if added:
                tree = self._repository.tree_with(tree, added)
            version = 1 + max((merge.version for merge in found if merge.strategy == strategy), default=0)
            text = compose(subject, body, {**trailers, STRATEGY: strategy, VERSION: str(version)})
            new = self._repository.commit(tree, main, text)
            tag = tag_name(strategy, version)
            mark = self._repository.tag_object(new, tag, text)
            if self._repository.move([Move(MAIN_REF, new, main), Move(f"refs/tags/{tag}", mark, None)]):
                return MergeOutcome(status="merged", commit=new, tag=tag)
            self._check_tag(tag)
            return None

        return self._until_moved("main", attempt)

    def _tag(self, merge: Merge) -> str:
        """The tag of a merge; made where a kill came between the merge and its tag."""
        ref = f"refs/tags/{merge.tag}"
        sha = merge.commit.sha

        def attempt() -> str | None:
            tip = self._repository.tip(ref)
            if tip == sha:
                return merge.tag
            if tip:
                raise LibraryError(
                    f"tag {merge.tag} is at {tip[:12]}, its version at {sha[:12]}; somebody moved it: delete the "
                    f"tag in {self.path} and try again"
                )
            mark = self._repository.tag_object(sha, merge.tag, merge.commit.message)
            return merge.tag if self._repository.move([Move(ref, mark, None)]) else None

        return self._until_moved(f"tag {merge.tag}", attempt)

    def _check_tag(self, tag: str) -> None:
        """A tag in a new version's way is another process's merge, or else somebody's own and never moves."""
        self._repository.refresh()
        tip = self._repository.tip(f"refs/tags/{tag}")
        made = merges(self._repository, self._main()) if tip else []
        if tip and tip not in (merge.commit.sha for merge in made if merge.tag == tag):
            raise LibraryError(
                f"tag {tag} is at {tip[:12]}, which is not that version of the library; delete it in {self.path}"
            )

    # Helpers

    def _main(self) -> str:
        """The commit of `main` as last seen, without asking a remote."""
        self._repository.open()
        head = self._repository.tip(MAIN_REF)
        if head is None:
            raise LibraryError(
                f"the library {self.path} lost its branch main; restore it from a clone or a backup"
            )
        return head

    def _until_moved(self, what: str, attempt: Callable[[], T | None]) -> T:
        """Look, build and move until it isn't None. Each round sees fresh refs."""
        with self._turn:
            for number in range(_ATTEMPTS):
                self._repository.refresh()
                if (result := attempt()) is not None:
                    return result
                pause = random.uniform(0, 0.01 * min(number + 1, 10))  # noqa: S311 - spreads writers
                time.sleep(pause)
        raise LibraryUnavailable(
            f"{what} of the library {self.path} was moved by others {_ATTEMPTS} times in a row; try again"
        )

    def _resolve(self, commit: str) -> str:
        self._repository.open()
        try:
            return self._repository.resolve(commit)
        except LibraryError:
            self._repository.refresh()
            return self._repository.resolve(commit)

    def _made_by(self, key: str, tip: str) -> str | None:
        """The commit of step `key` on the branch that ends at `tip`."""
        wanted = ("--first-parent", "--fixed-strings", f"--grep={STEP_KEY}: {key}")
        for commit in self._repository.log(*wanted, tip, f"^{self._main()}"):
            if trailers_of(commit.message).get(STEP_KEY) == key:
                return commit.sha
        return None

    def _check_same(self, commit: str, files: Mapping[str, bytes], branch: str, key: str) -> None:
        blobs = self._repository.blobs([(commit, path) for path in files])
        for (path, content), blob in zip(files.items(), blobs, strict=True):
            if blob != content:
                raise LibraryError(
                    f"step '{key}' has already committed another {path} on {branch} ({commit[:12]}); a retry "
                    "must bring the same files, and another step needs a key of its own"
                )


def _text(path: str, blob: bytes) -> str:
    try:
        return blob.decode()
    except UnicodeDecodeError as error:
        raise LibraryError(
            f"{path} is not UTF-8 text (byte {error.start}); read it with git itself"
        ) from error
