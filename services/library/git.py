"""Runs git on one bare repository: no configuration but ours, no hooks, no prompts, no checkout."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from services.library.errors import LibraryError, LibraryUnavailable

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # else GitPython fails to import where git is missing
from git import Git as _GitCommand
from git.exc import GitCommandNotFound

LEAST_VERSION = (2, 38)
"""The first with `merge-tree --write-tree`."""

_REMOTE_SECONDS = 120.0
_STALE_LOCK_SECONDS = 60.0
_IDENTITY = {"NAME": "Genesis", "EMAIL": "genesis@localhost"}
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "LC_ALL": "C",
} | {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _IDENTITY.items()}
_CONFIG = {
    "core.hooksPath": os.devnull,
    "core.fsync": "committed,reference",  # a ref must not outlive the objects it names in a power cut
    "core.filesRefLockTimeout": "1000",
    "core.packedRefsTimeout": "1000",
    "core.quotePath": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "push.gpgSign": "false",
    "maintenance.auto": "false",
    "gc.autoDetach": "false",
}
_INHERITED = (
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_QUARANTINE_PATH", "GIT_SHALLOW_FILE"),
    *("GIT_GRAFT_FILE", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_REPLACE_REF_BASE"),
    *("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS"),
)
"""Variables that lead git elsewhere; a git hook that starts Genesis hands some of them down."""

_LOCK = re.compile(r"Unable to create '([^']+\.lock)': File exists")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def without_credentials(text: str) -> str:
    """The text, with user and password of the URLs in it hidden."""
    return _CREDENTIALS.sub("***@", text)


@dataclass(frozen=True)
class Ran:
    """One finished git command."""

    status: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace").strip()


class Git:
    """Calls git in the bare repository at `path`. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._git = _GitCommand(str(path))

    def __call__(
        self,
        *arguments: str,
        input: Path | None = None,
        env: Mapping[str, str] | None = None,
        allowed: Sequence[int] = (0,),
        remote: bool = False,
    ) -> Ran:
        """Run `git <arguments>`, with the file `input` as standard input.

        An exit status that isn't `allowed` raises LibraryError with git's own words.
        """
        configured = [text for key, value in _CONFIG.items() for text in ("-c", f"{key}={value}")]
        misleading = [text for name in _INHERITED if name in os.environ for text in ("-u", name)]
        command = ["git", *configured, *arguments]
        if misleading:
            given = [f"{key}={value}" for key, value in (env or {}).items()]
            command = ["env", *misleading, f"GIT_DIR={self.path}", *given, *command]
        environment = {**_ENVIRONMENT, "GIT_DIR": str(self.path), **(env or {})}
        if remote:
            environment["GIT_SSH_COMMAND"] = os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        try:
            with open(input or os.devnull, "rb") as stdin:
                status, output, errors = self._git.execute(
                    command,
                    istream=stdin,
                    env=environment,
                    with_extended_output=True,
                    with_exceptions=False,
                    stdout_as_string=False,
                    strip_newline_in_stdout=False,
                    kill_after_timeout=_REMOTE_SECONDS if remote else None,
                )
        except GitCommandNotFound:
            raise LibraryError(
                "git is not installed, or not on PATH; install it, for example: apt-get install git"
            ) from None
        ran = Ran(int(status), bytes(output), without_credentials(str(errors)).strip())
        if ran.status not in allowed:
            raise self.failure(arguments[0], ran)
        return ran

    def failure(self, verb: str, ran: Ran) -> LibraryError | LibraryUnavailable:
        """The error that says what git said."""
        said = ran.errors or ran.text or f"it ended with status {ran.status}"
        if ran.status < 0:
            return LibraryUnavailable(
                f"git {verb} on {self.path} was killed by signal {-ran.status}; try again"
            )
        return self._unwritable(said) or LibraryError(f"git {verb} on {self.path} failed: {said}")

    def _unwritable(self, said: str) -> LibraryError | LibraryUnavailable | None:
        """The error for what git or the system says of a place that can't be written."""
        if "No space left on device" in said:  # first: git may say of it what stands below, too
            return LibraryUnavailable(f"no space left for the library {self.path}; free some and try again")
        if any(
            sign in said
            for sign in ("Permission denied", "Read-only file system", "unable to create temporary")
        ):
            return LibraryError(
                f"can't write to the library {self.path}: {said}; give this user the right to it, or "
                "set another path"
            )
        return None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for files that git reads; in the repository, so that `sweep` finds what a kill left."""
        home = self.path / "genesis-scratch"
        try:
            home.mkdir(exist_ok=True)
            with TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
        except OSError as error:
            raise self._unwritable(str(error)) or LibraryError(
                f"the library {self.path} can't be written: {error}; was it moved or removed?"
            ) from error

    def sweep(self, older_than: timedelta) -> None:
        """Remove scratch folders of killed processes."""
        limit = time.time() - older_than.total_seconds()
        for folder in (self.path / "genesis-scratch").glob("*"):
            try:
                if folder.stat().st_mtime < limit:
                    for file in folder.iterdir():
                        file.unlink(missing_ok=True)
                    folder.rmdir()
            except FileNotFoundError:  # another process sweeps too
                continue

    def break_stale_lock(self, errors: str) -> None:
        """Remove the ref lock that `errors` complains of, where its git process must have been killed.

        git holds such a lock for milliseconds.
        """
        if match := _LOCK.search(errors):
            lock = Path(match[1])
            try:
                age = time.time() - lock.stat().st_mtime
            except FileNotFoundError:
                return
            if age > _STALE_LOCK_SECONDS and lock.resolve().is_relative_to(self.path.resolve()):
                lock.unlink(missing_ok=True)

    def check_version(self) -> str:
        """git's version; raises LibraryError where it is missing or too old."""
        text = self("--version").text
        found = re.search(r"(\d+)\.(\d+)[.\d]*", text)
        if not found or (int(found[1]), int(found[2])) < LEAST_VERSION:
            least = ".".join(map(str, LEAST_VERSION))
            raise LibraryError(
                f"{text} is too old; Genesis needs git {least} or newer (merge-tree --write-tree); upgrade it"
            )
        return found[0]
