"""git on a workspace whose repository is honest, and on ones that try to run programs or lead elsewhere."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.tools import GitDone, GitOperation, RefusalKind
from services.tools import git as git_calls
from services.tools import repository
from services.tools.contained import Contained
from services.tools.errors import ToolRefused
from services.tools.repository import WorkspaceRepository
from tests.support.plain_git import git

TRAILERS = ["Tool-Session: s", "Audit-Id: 1-abc"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main", "--template=")
    (folder / "a.txt").write_text("one\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.txt").write_text("two\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


@pytest.fixture
def workspace(root: Path) -> Iterator[Contained]:
    with Contained(root) as contained:
        yield contained


def do(workspace: Contained, operation: str, **more: Any) -> GitDone:
    request = GitOperation.model_validate({"session": "s", "operation": operation, **more})
    return WorkspaceRepository(workspace).carry_out(request, TRAILERS)


def refused(workspace: Contained, operation: str, kind: RefusalKind, **more: Any) -> str:
    with pytest.raises(ToolRefused) as caught:
        do(workspace, operation, **more)
    assert caught.value.kind == kind, caught.value
    return str(caught.value)


def changes(done: GitDone) -> dict[str, str]:
    return {change.path: change.index + change.workspace for change in done.changes}


# Honest work


def test_status_tells_every_change(workspace: Contained, root: Path) -> None:
    clean = do(workspace, "status")
    assert (clean.branch, clean.commit, clean.changes) == ("main", git(root, "rev-parse", "HEAD"), [])
    (root / "a.txt").write_text("changed\n")
    (root / "sub" / "b.txt").unlink()
    (root / "new folder").mkdir()
    (root / "new folder" / 'ünï "q" \t.txt').write_text("x")
    git(root, "mv", "a.txt", "moved.txt")
    done = do(workspace, "status")
    assert changes(done) == {
        "a.txt": "D.",
        "moved.txt": "AM",
        "sub/b.txt": ".D",
        'new folder/ünï "q" \t.txt': "??",
    }
    assert list(changes(do(workspace, "status", paths=["sub"]))) == ["sub/b.txt"]


def test_a_commit_holds_what_was_asked_for(workspace: Contained, root: Path) -> None:
    (root / "a.txt").write_text("changed\n")
    (root / "new.txt").write_text("new\n")
    (root / "sub" / "b.txt").unlink()
    before = git(root, "rev-parse", "HEAD")
    would = do(workspace, "commit", message="m", dry_run=True)
    assert sorted(changes(would)) == ["a.txt", "new.txt", "sub/b.txt"]
    assert git(root, "rev-parse", "HEAD") == before
    done = do(workspace, "commit", message="# only two\n\nbody", paths=["a.txt", "sub"])
    assert sorted(changes(done)) == ["a.txt", "sub/b.txt"]
    assert done.commit == git(root, "rev-parse", "HEAD") != before
    assert git(root, "log", "-1", "--format=%an <%ae>%n%B") == (
        "Genesis <genesis@localhost>\n# only two\n\nbody\n\nTool-Session: s\nAudit-Id: 1-abc"
    )
    assert git(root, "show", "--name-status", "--format=", "HEAD").split() == ["M", "a.txt", "D", "sub/b.txt"]
    rest = do(workspace, "commit", message="the rest")
    assert list(changes(rest)) == ["new.txt"]
    assert "nothing to commit" in refused(workspace, "commit", "git", message="again")
    refused(workspace, "commit", "invalid_request")
    assert git(root, "status", "--porcelain") == ""


def test_the_first_commit_and_no_branch_before_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk", "--template=")
    (tmp_path / "a").write_text("x")
    with Contained(tmp_path) as workspace:
        assert do(workspace, "status").commit is None
        assert "no commit yet" in refused(workspace, "branch", "git", branch="b")
        done = do(workspace, "commit", message="root")
        assert (done.branch, done.commit) == ("trunk", git(tmp_path, "rev-parse", "HEAD"))


def test_a_branch_is_made_and_entered_with_what_is_there(workspace: Contained, root: Path) -> None:
    (root / "a.txt").write_text("changed\n")
    assert do(workspace, "branch", branch="ai/fix/1", dry_run=True).branch == "main"
    assert git(root, "branch", "--format=%(refname:short)") == "main"
    assert do(workspace, "branch", branch="ai/fix/1").branch == "ai/fix/1"
    assert changes(do(workspace, "status")) == {"a.txt": ".M"}
    assert do(workspace, "branch").branches == ["ai/fix/1", "main"]
    assert "exists" in refused(workspace, "branch", "exists", branch="main")
    for name in ("a..b", "a.lock", "a//b", "x/", "HEAD", "ai/fix/1/under"):
        refused(workspace, "branch", "git", branch=name)


def test_a_diff_is_text_and_bounded(workspace: Contained, root: Path) -> None:
    (root / "a.txt").write_text("changed\n")
    done = do(workspace, "diff")
    assert "-one\n+changed\n" in done.diff
    assert not done.truncated
    do(workspace, "commit", message="c")
    assert do(workspace, "diff").diff == ""
    assert "-one\n+changed\n" in do(workspace, "diff", against="HEAD~1").diff
    assert do(workspace, "diff", against="main", paths=["sub"]).diff == ""
    assert "no commit or branch" in refused(workspace, "diff", "missing", against="nowhere")
    (root / "a.txt").write_text("line\n" * 400_000)
    done = do(workspace, "diff")
    assert (len(done.diff), done.truncated) == (repository.MOST_DIFF, True)
    (root / "a.txt").write_bytes(b"\xff\xfe\x00")
    assert "Binary files" in do(workspace, "diff").diff


def test_paths_are_names_and_stay_inside(workspace: Contained, root: Path) -> None:
    (root / "x1").write_text("1")
    (root / "x*").write_text("2")
    assert list(changes(do(workspace, "commit", message="m", paths=["x*"]))) == ["x*"]
    for path in ("../x", "/etc/passwd", ".git/config", "..", "a/../../b", ":/"):
        refused(workspace, "diff", "path", paths=[path])
    refused(workspace, "commit", "git", message="m", paths=["--amend"])
    refused(workspace, "commit", "git", message="m", paths=[":(glob)*"])


# Hostile repositories


@pytest.fixture
def alarm(tmp_path: Path) -> Iterator[Path]:
    """A program that leaves a mark; whatever makes git run it has failed us."""
    program = tmp_path / "alarm"
    program.write_text(f"#!/bin/sh\ndate > {tmp_path}/rang\ncat\n")
    program.chmod(0o755)
    yield program
    assert not (tmp_path / "rang").exists(), "git ran a program of the repository"


def everything(workspace: Contained, root: Path) -> None:
    """Each operation, on a workspace with something to do."""
    for number, name in enumerate(("a.txt", "sub/b.txt")):
        (root / name).write_text(f"{number} {time.monotonic()}\n")
    do(workspace, "status")
    do(workspace, "diff")
    do(workspace, "diff", against="HEAD")
    do(workspace, "branch", branch=f"b{time.monotonic_ns()}")
    do(workspace, "commit", message="m", paths=["a.txt"])
    do(workspace, "commit", message="m")


def test_the_alarm_works(alarm: Path, root: Path) -> None:
    """That these repositories would make an ordinary git run programs."""
    git(root, "config", "core.fsmonitor", str(alarm))
    git(root, "status")
    assert (alarm.parent / "rang").exists()
    (alarm.parent / "rang").unlink()


@pytest.mark.parametrize(
    "key",
    [
        *("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.hooksPath", "core.askPass"),
        *(
            "core.alternateRefsCommand",
            "core.gitProxy",
            "core.worktree",
            "core.attributesFile",
            "pager.status",
        ),
        *(
            "diff.external",
            "diff.x.command",
            "diff.x.textconv",
            "filter.x.clean",
            "filter.x.process",
            "merge.x.driver",
        ),
        *(
            "alias.status",
            "gpg.program",
            "commit.gpgSign",
            "credential.helper",
            "sequence.editor",
            "include.path",
        ),
        *(
            "includeIf.gitdir:/.path",
            "extensions.worktreeConfig",
            "extensions.partialClone",
            "remote.o.promisor",
        ),
        *(
            "remote.o.uploadpack",
            "remote.o.vcs",
            "url.x.insteadOf",
            "submodule.x.update",
            "trailer.x.command",
        ),
        *(
            "uploadpack.packObjectsHook",
            "safe.directory",
            "commit.template",
            "interactive.diffFilter",
            "man.x.cmd",
        ),
    ],
)
def test_a_setting_that_may_run_a_program_is_refused(
    workspace: Contained, root: Path, alarm: Path, key: str
) -> None:
    git(root, "config", "--file", ".git/config", key, str(alarm))
    message = refused(workspace, "status", "unsafe_repository")
    assert key.lower() in message.lower()
    assert "git config --unset-all" in message


def test_harmless_settings_are_no_hindrance(workspace: Contained, root: Path) -> None:
    git(root, "config", "user.name", "Eve")
    git(root, "config", "remote.origin.url", "https://example.org/x.git")
    git(root, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    git(root, "config", "branch.main.remote", "origin")
    git(root, "config", "branch.a.b/c.merge", "refs/heads/x")
    everything(workspace, root)


def test_hooks_and_attributes_run_nothing(workspace: Contained, root: Path, alarm: Path) -> None:
    hooks = root / ".git" / "hooks"
    hooks.mkdir()
    names = (
        "pre-commit",
        "prepare-commit-msg",
        "commit-msg",
        "post-commit",
        "post-checkout",
        "reference-transaction",
    )
    for name in (*names, "post-index-change", "fsmonitor-watchman", "post-rewrite", "pre-auto-gc"):
        (hooks / name).write_bytes(alarm.read_bytes())
        (hooks / name).chmod(0o755)
    (root / ".gitattributes").write_text(
        "* filter=x diff=x merge=x text=auto working-tree-encoding=UTF-8 ident\n"
    )
    (root / ".git" / "info").mkdir()
    (root / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    everything(workspace, root)


def test_the_callers_environment_is_not_handed_on(
    workspace: Contained, root: Path, alarm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_EXTERNAL_DIFF", "GIT_EDITOR", "GIT_PAGER", "GIT_SSH_COMMAND", "GIT_ASKPASS"):
        monkeypatch.setenv(name, str(alarm))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(alarm))
    monkeypatch.setenv("GIT_DIR", str(root.parent))
    monkeypatch.setenv("GIT_INDEX_FILE", str(root.parent / "index"))
    monkeypatch.setenv("GIT_TRACE", str(root.parent / "trace"))
    everything(workspace, root)
    assert not (root.parent / "trace").exists()


@pytest.mark.parametrize("known", [False, True])
def test_a_repository_within_is_left_alone(
    workspace: Contained, root: Path, alarm: Path, known: bool
) -> None:
    """git would look into a submodule with that one's own configuration."""
    nested = root / "nested"
    nested.mkdir()
    git(nested, "init", "--quiet", "--template=")
    (nested / "c.txt").write_text("x")
    git(nested, "add", ".")
    git(nested, "commit", "--quiet", "-m", "n")
    if known:
        (root / ".gitmodules").write_text('[submodule "n"]\n\tpath = nested\n\turl = ./n\n\tignore = none\n')
        git(root, "add", ".gitmodules", "nested")
        git(root, "commit", "--quiet", "-m", "with a submodule")
    git(nested, "config", "core.fsmonitor", str(alarm))
    git(nested, "config", "filter.x.clean", str(alarm))
    (nested / "c.txt").write_text(
        "y"
    )  # of the same size: only its content, filtered, tells whether it changed
    (nested / ".gitattributes").write_text("* filter=x\n")
    if known:
        assert "submodules" in refused(workspace, "status", "unsafe_repository")
        refused(workspace, "commit", "unsafe_repository", message="m")
        return
    (root / "a.txt").write_text("changed\n")
    assert changes(do(workspace, "status")) == {"a.txt": ".M", "nested/": "??"}
    do(workspace, "diff", against="HEAD")
    do(workspace, "branch", branch="b")
    assert "a repository of its own" in refused(workspace, "commit", "git", message="m")
    refused(workspace, "commit", "git", message="m", paths=["nested"])
    assert list(changes(do(workspace, "commit", message="m", paths=["a.txt"]))) == ["a.txt"]


@pytest.mark.parametrize(
    "name", ["HEAD", "index", "objects", "refs", "config", "refs/heads/x", "objects/00", "logs"]
)
def test_links_in_git_lead_nowhere(workspace: Contained, root: Path, tmp_path: Path, name: str) -> None:
    place = root / ".git" / name
    place.parent.mkdir(exist_ok=True)
    if place.exists():
        place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    assert "link" in refused(workspace, "status", "unsafe_repository")


def test_a_fifo_in_git_does_not_hang(workspace: Contained, root: Path) -> None:
    (root / ".git" / "HEAD").unlink()
    os.mkfifo(root / ".git" / "HEAD")
    refused(workspace, "status", "unsafe_repository")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("objects/info/alternates", "/elsewhere/objects\n"),
        ("commondir", "../../elsewhere\n"),
        ("config.worktree", "[core]\n"),
        ("config", "[core\n"),
        ("config", "[core]\n" + "\tfilemode = true\n" * 5000),
        ("config", "[core]\n\tbare = true\n"),
        ("config", "[core]\n\tfilemode = true\n[core]\n\tfsmonitor\n"),
    ],
)
def test_files_that_lead_elsewhere_are_refused(
    workspace: Contained, root: Path, name: str, content: str
) -> None:
    place = root / ".git" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    refused(workspace, "status", "unsafe_repository")


def test_git_as_a_file_or_link_or_missing(tmp_path: Path, root: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with Contained(other) as workspace:
        assert "no git repository" in refused(workspace, "status", "no_repository")
        (other / ".git").write_text(f"gitdir: {root}/.git\n")
        refused(workspace, "status", "unsafe_repository")
        (other / ".git").unlink()
        (other / ".git").symlink_to(root / ".git")
        refused(workspace, "status", "unsafe_repository")
        (other / ".git").unlink()
        (other / ".git").mkdir()
        refused(workspace, "status", "unsafe_repository")


def test_a_repository_above_is_not_taken(root: Path) -> None:
    with Contained(root / "sub") as workspace:
        refused(workspace, "status", "no_repository")


def test_a_lock_that_a_killed_git_left_is_removed(workspace: Contained, root: Path) -> None:
    lock = root / ".git" / "index.lock"
    lock.touch()
    (root / "a.txt").write_text("changed\n")
    assert "index.lock" in refused(workspace, "commit", "git", message="m")
    os.utime(lock, (time.time() - 1000, time.time() - 1000))
    assert do(workspace, "commit", message="m").commit == git(root, "rev-parse", "HEAD")
    assert not lock.exists()


def test_links_in_the_workspace_are_kept_as_links(workspace: Contained, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "fifo")
    do(workspace, "commit", message="m")
    assert "outside" not in do(workspace, "diff", against="HEAD~1").diff
    assert git(root, "ls-files", "--stage", "link", "folder", "fifo").split()[::4] == ["120000", "120000"]
    refused(workspace, "commit", "git", message="m", paths=["folder/secret"])


def test_what_takes_too_long_is_ended(
    workspace: Contained, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nsleep 60 & sleep 60\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setattr(git_calls, "SECONDS", 0.3)
    monkeypatch.setitem(git_calls._ENVIRONMENT, "PATH", f"{slow}:/usr/bin:/bin")
    began = time.monotonic()
    assert "took more than 0.3 s" in refused(workspace, "status", "git")
    assert time.monotonic() - began < 20
    monkeypatch.setitem(git_calls._ENVIRONMENT, "PATH", str(tmp_path))
    assert "git is not installed" in refused(workspace, "status", "git")
