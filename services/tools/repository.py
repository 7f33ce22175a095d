"""git in a session's workspace, so that nothing in the repository can make it run a program or leave the directory.

git reads a repository's own configuration, which can name programs: hooks, fsmonitor, filters, textconv, external
diff, pager, editor, signers, credential helpers, aliases, includes. There is no switch to leave it out. So it is
read as text first, and a repository that sets anything but a few harmless keys is refused; what hooks and attributes
could still do is switched off on the command line, which goes before the file. The rest of `.git` must be plain files
and folders.
"""

import os
import re
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from schemas.tools import FileChange, GitDone, GitOperation
from services.tools.contained import Contained, parts_of
from services.tools.errors import ToolRefused
from services.tools.git import SECONDS, Git

MOST_DIFF = 1 << 20
MOST_CHANGES = 2000
_STALE_LOCK_SECONDS = 2 * SECONDS
"""A lock that is older was left by a git that was killed: none of ours lives so long."""
_MOST_STATUS = 8 << 20
_MOST_INDEX = 64 << 20
_MOST_CONFIG = 64 * 1024
_SUBMODULE = b"160000 "
_MOST_FILES = 100_000

_HARMLESS = re.compile(
    r"core\.(repositoryformatversion|filemode|logallrefupdates|ignorecase|symlinks|precomposeunicode|autocrlf|eol|safecrlf)"
    r"|core\.bare|user\.(name|email)|init\.defaultbranch|extensions\.objectformat"
    r"|branch\..*\.(remote|merge|description)|remote\..*\.(url|fetch)",
    re.IGNORECASE | re.DOTALL,
)


class WorkspaceRepository:
    """The repository whose `.git` lies in `workspace`. Raises ToolRefused for what it won't or can't do."""

    def __init__(self, workspace: Contained) -> None:
        self._workspace = workspace
        self._git = Git(workspace.descriptor)

    def carry_out(self, request: GitOperation, trailers: Sequence[str]) -> GitDone:
        """Do one operation; `trailers` end a commit's message."""
        for path in request.paths:
            parts_of(path)
        self._check()
        match request.operation:
            case "status":
                return self._status(request.paths)
            case "branch":
                return self._branch(request.branch, request.dry_run)
            case "commit":
                return self._commit(request, trailers)
            case "diff":
                return self._diff(request)

    # Operations

    def _status(self, paths: Sequence[str]) -> GitDone:
        changes, truncated = self._changes(paths)
        return self._done("status", changes=changes, truncated=truncated)

    def _branch(self, name: str | None, dry_run: bool) -> GitDone:
        if name is None:
            listed = self._git("for-each-ref", "--format=%(refname)", "refs/heads/", most=_MOST_STATUS)
            *lines, _rest = listed.output.decode("utf-8", "replace").split("\n")
            names = [line.removeprefix("refs/heads/") for line in lines]
            cut = listed.truncated or len(names) > MOST_CHANGES
            return self._done("branch", branches=names[:MOST_CHANGES], truncated=cut)
        if name == "HEAD" or self._git("check-ref-format", f"refs/heads/{name}", allowed=(0, 1)).status:
            raise ToolRefused("git", f"'{name}' can't be a branch's name")
        head = self._head()
        if head is None:
            raise ToolRefused(
                "git", f"the branch {name} can't be made: the repository has no commit yet; commit first"
            )
        if not self._git("show-ref", "--verify", "--quiet", f"refs/heads/{name}", allowed=(0, 1)).status:
            raise ToolRefused("exists", f"the branch {name} exists; take another name")
        if dry_run:
            return self._done("branch")
        self._git("update-ref", "-m", "branch: made", f"refs/heads/{name}", head, "0" * len(head))
        self._git("symbolic-ref", "-m", f"branch: to {name}", "HEAD", f"refs/heads/{name}")
        return self._done("branch")

    def _commit(self, request: GitOperation, trailers: Sequence[str]) -> GitDone:
        if request.message is None:
            raise ToolRefused("invalid_request", "a commit needs a message")
        changes, truncated = self._changes(request.paths)
        if any("U" in change.index + change.workspace for change in changes):
            raise ToolRefused(
                "git", "the repository is in the middle of a merge with conflicts; a person must end it"
            )
        if nested := next((change.path for change in changes if change.path.endswith("/")), None):
            raise ToolRefused(
                "git", f"{nested} is a repository of its own; commit other paths, or move it out"
            )
        if not changes:
            raise ToolRefused("git", "there is nothing to commit: no file differs from the last commit")
        if request.dry_run:
            return self._done("commit", changes=changes, truncated=truncated)
        chosen = ["--", *request.paths] if request.paths else []
        self._git("add", "--all", *(chosen or ["--", "."]))
        message = "\n".join([request.message.strip(), "", *trailers, ""])
        only = ["--only"] if chosen else []
        self._git(
            *(
                "commit",
                "--quiet",
                "--no-verify",
                "--no-gpg-sign",
                "--no-status",
                "--cleanup=verbatim",
                "--file=-",
            ),
            *(*only, *chosen),
            stdin=message.encode("utf-8", "replace"),
        )
        return self._done("commit", changes=changes, truncated=truncated)

    def _diff(self, request: GitOperation) -> GitDone:
        against = []
        if request.against:
            found = self._git(
                *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{request.against}^{{commit}}"),
                allowed=(0, 1, 128),
            )
            if found.status:
                raise ToolRefused("missing", f"'{request.against}' is no commit or branch of this repository")
            against = [found.text]
        ran = self._git(
            *(
                "diff",
                "--no-ext-diff",
                "--no-textconv",
                "--no-color",
                "--no-renames",
                "--ignore-submodules=all",
            ),
            *(*against, "--", *request.paths),
            most=MOST_DIFF,
        )
        return self._done("diff", diff=ran.output.decode("utf-8", "replace"), truncated=ran.truncated)

    # What git knows

    def _done(self, operation: str, **more: object) -> GitDone:
        branch = self._git("symbolic-ref", "--quiet", "--short", "HEAD", allowed=(0, 1)).text or None
        return GitDone.model_validate(
            {"operation": operation, "branch": branch, "commit": self._head(), **more}
        )

    def _head(self) -> str | None:
        return (
            self._git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", allowed=(0, 1, 128)).text or None
        )

    def _changes(self, paths: Sequence[str]) -> tuple[list[FileChange], bool]:
        ran = self._git(
            *(
                "status",
                "--porcelain=v2",
                "-z",
                "--untracked-files=all",
                "--ignore-submodules=all",
                "--no-renames",
            ),
            *("--", *paths),
            most=_MOST_STATUS,
        )
        *records, _rest = ran.output.decode("utf-8", "replace").split("\0")
        changes = [change for record in records if (change := _change(record))]
        return changes[:MOST_CHANGES], ran.truncated or len(changes) > MOST_CHANGES

    # What it may be

    def _check(self) -> None:
        """Raises ToolRefused where `.git` could lead git out of the workspace, or to a program."""
        place = Path(f"/proc/self/fd/{self._workspace.descriptor}/.git")
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            raise ToolRefused("no_repository", "the workspace has no git repository") from None
        if not stat.S_ISDIR(mode):
            _unsafe(".git is a link or a file that leads elsewhere")
        seen = 0
        for folder, folders, files in os.walk(place):
            for name in (*folders, *files):
                inside = os.path.relpath(os.path.join(folder, name), place)
                kind = os.lstat(os.path.join(folder, name)).st_mode
                if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
                    _unsafe(f".git/{inside} is a link, a FIFO or a device")
                seen += 1
            if seen > _MOST_FILES:
                _unsafe(f".git has more than {_MOST_FILES} files; pack them: git gc")
        for name in (
            "commondir",
            "config.worktree",
            "objects/info/alternates",
            "objects/info/http-alternates",
        ):
            if (place / name).exists():
                _unsafe(f".git/{name} leads to another place")
        self._check_config(place / "config")
        for name in ("index.lock", "HEAD.lock"):
            with suppress(FileNotFoundError):
                if time.time() - (place / name).stat().st_mtime > _STALE_LOCK_SECONDS:
                    (place / name).unlink()
        index = self._git("ls-files", "--stage", "-z", most=_MOST_INDEX)
        if index.truncated:
            _unsafe("it has too many files for these tools")
        if any(entry.startswith(_SUBMODULE) for entry in index.output.split(b"\0")):
            _unsafe("it has submodules, into which git looks with the configuration of each")

    def _check_config(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                text = file.read(_MOST_CONFIG + 1)
        except FileNotFoundError:
            _unsafe(".git/config is missing")
        if len(text) > _MOST_CONFIG:
            _unsafe(f".git/config has more than {_MOST_CONFIG} bytes")
        listed = self._git(
            "config", "--file", "-", "--no-includes", "--null", "--list", stdin=text, inside=False
        )
        if listed.status:
            _unsafe(f".git/config can't be read: {listed.errors}")
        for setting in listed.output.decode("utf-8", "replace").split("\0")[:-1]:
            key, _, value = setting.partition("\n")
            bare = key == "core.bare" and value.lower() not in ("false", "no", "off", "0")
            if bare or not _HARMLESS.fullmatch(key):
                _unsafe(f".git/config sets {key!r:.200}; remove it: git config --unset-all {key!r:.200}")


def _change(record: str) -> FileChange | None:
    match record[:1]:
        case "?":
            return FileChange(path=record[2:], index="?", workspace="?")
        case "1":
            return FileChange(path=record.split(" ", 8)[8], index=record[2], workspace=record[3])
        case "u":
            return FileChange(path=record.split(" ", 10)[10], index=record[2], workspace=record[3])
    return None


def _unsafe(why: str) -> NoReturn:
    raise ToolRefused("unsafe_repository", f"the repository is refused: {why}")
