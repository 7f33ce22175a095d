"""The bare repository: made on first use, read and written without a checkout."""

import re
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.library.errors import LibraryError
from services.library.git import Git, without_credentials
from services.library.names import MAIN, revision
from services.library.refs import LocalRefs, Move, Refs, RemoteRefs

MAIN_REF = f"refs/heads/{MAIN}"

_README = """# Library

Strategies that Genesis tried, judged and merged. Each merge is one commit on `main`, whose last lines name
the experiment it came from, and one tag `strategies/<name>/v<N>`.

    strategies/<name>/strategy.py      the code
    strategies/<name>/definition.json  what it was made from
    strategies/<name>/metrics.json     what its backtest came to

Genesis writes here without a checkout. Read it with `git log main`, or clone it.
"""
_ROOT_DATE = "2026-01-01T00:00:00+00:00"  # fixed: whoever makes the root commit, it is the same one
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.+|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:.+")
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
"""`a::b` would have git run its helper `a`."""


def is_url(location: str) -> bool:
    """Whether a library's location names a remote; else it is a path."""
    return _URL.fullmatch(location) is not None


@dataclass(frozen=True)
class Commit:
    sha: str
    committed_at: datetime
    message: str


class Repository:
    """A library at `location`: a path, or the URL of a remote that is mirrored at `mirror`.

    Nothing is touched before the first use. All methods block, and may be called from several threads.
    """

    def __init__(self, location: str | Path, mirror: Path | None = None) -> None:
        text = str(location)
        self._url = text if isinstance(location, str) and is_url(text) else None
        if text.startswith("-") or not text.strip() or "\x00" in text or _HELPER.match(text):
            raise LibraryError(f"{text!r:.200} can't be the library; give a path or a URL")
        if self._url and mirror is None:
            raise LibraryError(
                f"the library is a remote ({without_credentials(text)}); say where its mirror may live"
            )
        self.path = Path(mirror if self._url and mirror else location).absolute()
        self.git = Git(self.path)
        self._refs: Refs = RemoteRefs(self.git, self._url) if self._url else LocalRefs(self.git)
        self._opened = False
        self._opening = threading.Lock()

    def open(self) -> None:
        """Make the repository, or see that it is one. Several processes may do so at once."""
        with self._opening:
            if self._opened:
                return
            self.git.check_version()
            if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
                self._make()
            self._check_is_bare()
            self._refs.refresh()
            if self.tip(MAIN_REF) is None:
                if self.git("for-each-ref", "--count=1", "refs/tags/strategies/").text:
                    raise LibraryError(
                        f"the library {self.path} has versions but no branch main; restore main from a clone or a "
                        "backup, or point it at the last good commit: git update-ref refs/heads/main <commit>"
                    )
                root = self._root_commit(self.git)
                if not self._refs.move([Move(MAIN_REF, root, None)]):
                    self._refs.refresh()
            self._opened = True

    def refresh(self) -> None:
        """See what others wrote, which costs a fetch where the library is a remote."""
        if self._opened:
            self._refs.refresh()
        else:
            self.open()

    def move(self, moves: Sequence[Move]) -> bool:
        """Make all moves or none; False where another was faster (see Refs.move)."""
        return self._refs.move(moves)

    def tip(self, ref: str) -> str | None:
        """The commit that `ref` points at."""
        ran = self.git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", allowed=(0, 1))
        return ran.text or None

    def resolve(self, text: str) -> str:
        """The whole hash of a commit given by hash, shortened hash or `main`."""
        name = revision(text)
        ran = self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", allowed=(0, 1, 128))
        if ran.status or not ran.text:
            what = "ambiguous, give more of its hash" if "ambiguous" in ran.errors else "not in the library"
            raise LibraryError(
                f"commit {text} is {what} ({self.path}); it may belong to a branch that was deleted"
            )
        return ran.text

    def tree_with(self, base: str, files: Mapping[str, bytes]) -> str:
        """The tree of `base` (a commit or tree) with `files` (path to content) written over it."""
        with self.git.scratch() as folder:
            index = {"GIT_INDEX_FILE": str(folder / "index")}
            sources = []
            for number, content in enumerate(files.values()):
                source = folder / str(number)
                source.write_bytes(content)
                sources.append(str(source))
            self.git("read-tree", base, env=index)
            if sources:
                blobs = self.git("hash-object", "-w", "--no-filters", "--", *sources).text.split()
                lines = [f"100644 {blob}\t{path}\n" for blob, path in zip(blobs, files, strict=True)]
                (folder / "entries").write_text("".join(lines))
                self.git("update-index", "--index-info", env=index, input=folder / "entries")
            return self.git("write-tree", env=index).text

    def commit(self, tree: str, parent: str | None, message: str, *, date: str | None = None) -> str:
        """A new commit; no ref points at it yet."""
        return self._commit(self.git, tree, parent, message, date)

    def tag_object(self, commit: str, name: str, message: str) -> str:
        """A new annotated tag; no ref points at it yet."""
        now = int(datetime.now(UTC).timestamp())
        head = f"object {commit}\ntype commit\ntag {name}\ntagger Genesis <genesis@localhost> {now} +0000\n\n"
        with self.git.scratch() as folder:
            (folder / "tag").write_text(head + message)
            return self.git("mktag", input=folder / "tag").text

    def merge_trees(self, ours: str, theirs: str) -> tuple[str | None, list[str]]:
        """The merged tree of two commits, or None and the paths that conflict."""
        ran = self.git(
            "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", ours, theirs, allowed=(0, 1)
        )
        tree, *paths = [part for part in ran.output.decode("utf-8", "replace").split("\0") if part]
        return (None, sorted(set(paths))) if ran.status else (tree, [])

    def merge_base(self, left: str, right: str) -> str:
        ran = self.git("merge-base", left, right, allowed=(0, 1))
        if not ran.text:
            raise LibraryError(f"{left[:12]} and {right[:12]} have no common commit in {self.path}")
        return ran.text

    def log(self, *arguments: str) -> list[Commit]:
        """Commits that `git log <arguments>` yields, in its order."""
        output = self.git("log", "-z", "--no-color", "--format=%H%n%ct%n%B", *arguments).output
        commits = []
        for record in output.decode("utf-8", "replace").split("\0"):
            if record.strip():
                sha, seconds, message = record.split("\n", 2)
                commits.append(Commit(sha, datetime.fromtimestamp(int(seconds), UTC), message))
        return commits

    def paths(self, commit: str, under: str | None = None) -> list[str]:
        """The files of a commit, below the folder `under`."""
        inside = ("--", f"{under.rstrip('/')}/") if under else ()
        output = self.git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, *inside).output
        return [path for path in output.decode("utf-8", "surrogateescape").split("\0") if path]

    def blobs(self, places: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """The contents at each (commit, path), or None where there is none. One git process for all."""
        if not places:
            return []
        with self.git.scratch() as folder:
            asked = "".join(f"{commit}:{path}\n" for commit, path in places)
            (folder / "asked").write_bytes(asked.encode("utf-8", "surrogateescape"))
            output = self.git("cat-file", "--batch", input=folder / "asked").output
        found: list[bytes | None] = []
        at = 0
        for _ in places:
            end = output.index(b"\n", at)
            head, at = output[at:end], end + 1
            if head.endswith(b" missing"):
                found.append(None)
                continue
            size = int(head.rsplit(b" ", 1)[1])
            found.append(output[at : at + size])
            at += size + 1
        return found

    def _make(self) -> None:
        """Build it aside and rename it into place: no other process ever sees half a repository."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}-"))
        except OSError as error:
            raise LibraryError(
                f"can't make the library {self.path}: {error.strerror}; give this user the right to "
                "write there, or set another path"
            ) from error
        try:
            git = Git(aside)
            git("init", "--bare", "--quiet", f"--initial-branch={MAIN}", "--template=")
            if self._url is None:
                git("update-ref", MAIN_REF, self._root_commit(git))
            aside.chmod(0o755)
            try:
                aside.rename(self.path)
            except OSError:
                if not (self.path / "HEAD").is_file():  # else another process was faster
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _check_is_bare(self) -> None:
        ran = self.git("rev-parse", "--is-bare-repository", allowed=(0, 128))
        if ran.status == 128 and not re.search("not a git repository|invalid gitfile", ran.errors):
            raise self.git.failure("rev-parse", ran)
        if ran.text != "true":
            what = (
                "has a working tree"
                if (self.path / ".git").exists() or ran.status == 0
                else "is not a git repository"
            )
            raise LibraryError(
                f"{self.path} {what}; the library is a bare repository of its own: set a path that doesn't "
                "exist yet, or make one with: git clone --bare <repository> <path>"
            )

    def _root_commit(self, git: Git) -> str:
        with git.scratch() as folder:
            index = {"GIT_INDEX_FILE": str(folder / "index")}
            (folder / "readme").write_text(_README)
            blob = git("hash-object", "-w", "--no-filters", "--", str(folder / "readme")).text
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},README.md", env=index)
            tree = git("write-tree", env=index).text
        return self._commit(git, tree, None, "Begin the library\n", _ROOT_DATE)

    @staticmethod
    def _commit(git: Git, tree: str, parent: str | None, message: str, date: str | None) -> str:
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
        with git.scratch() as folder:
            (folder / "message").write_text(message, encoding="utf-8")
            parents = ("-p", parent) if parent else ()
            return git("commit-tree", tree, *parents, "-F", str(folder / "message"), env=dates).text
