"""The library on a bare repository of this machine."""

import json
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.library import Library, LibraryError, LibraryUnavailable
from services.library.git import Git, Ran
from services.library.names import compose, trailers_of

# First use


def test_it_is_made_on_first_use_bare_with_a_root_commit(library: Library, git: Any) -> None:
    assert not library.path.exists()
    head = library.head()
    assert git(library.path, "rev-parse", "--is-bare-repository") == "true"
    assert git(library.path, "rev-list", "--all") == head
    assert git(library.path, "ls-tree", "-r", "--name-only", head) == "README.md"
    assert git(library.path, "fsck", "--strict", "--no-dangling") == ""


def test_the_root_commit_is_the_same_everywhere(library: Library, tmp_path: Path) -> None:
    assert Library(tmp_path / "another.git").head() == library.head()


def test_an_empty_folder_or_an_empty_bare_repository_serves(tmp_path: Path, git: Any) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare").mkdir()
    git(tmp_path / "bare", "init", "-q", "--bare")
    assert Library(tmp_path / "empty").head() == Library(tmp_path / "bare").head()


def test_it_keeps_what_a_repository_already_holds(tmp_path: Path, git: Any, new_lab: Any) -> None:
    (tmp_path / "work").mkdir()
    git(tmp_path / "work", "init", "-q", "-b", "main")
    git(tmp_path / "work", "commit", "-q", "--allow-empty", "-m", "mine")
    git(tmp_path, "clone", "-q", "--bare", "work", "own.git")
    lab = new_lab(tmp_path / "own.git")
    mine = lab.library.head()
    outcome = lab.run("exp-1")
    assert git(lab.library.path, "rev-parse", f"{outcome.commit}^") == mine


def test_a_working_tree_is_refused(tmp_path: Path, git: Any) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    for path in (tmp_path, tmp_path / ".git"):
        with pytest.raises(LibraryError, match=r"has a working tree.*git clone --bare"):
            Library(path).head()


def test_what_is_not_a_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("text")
    (tmp_path / "file").write_text("text")
    for path in (tmp_path / "notes", tmp_path / "file"):
        with pytest.raises(LibraryError, match="is not a git repository"):
            Library(path).head()


def test_a_folder_that_can_not_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LibraryError, match="can't make the library"):
        Library(tmp_path / "file" / "library.git").head()


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("error: unable to create temporary file: No space left on device", LibraryUnavailable, "free some"),
        ("error: unable to create temporary file: Permission denied", LibraryError, "the right to it"),
        ("fatal: Unable to create 'x.lock': Read-only file system", LibraryError, "the right to it"),
        ("fatal: bad object 12345", LibraryError, "failed: fatal: bad object"),
    ],
)
def test_what_git_says_tells_whether_a_retry_may_help(
    tmp_path: Path, said: str, kind: type[Exception], told: str
) -> None:
    error = Git(tmp_path).failure("hash-object", Ran(128, b"", said))
    assert type(error) is kind
    assert told in str(error)


def test_a_library_that_is_removed_meanwhile_is_explained(lab: Any) -> None:
    lab.run("exp-1")
    shutil.rmtree(lab.library.path / "genesis-scratch")
    (lab.library.path / "genesis-scratch").write_text("in the way")
    with pytest.raises(LibraryError, match="can't be written"):
        lab.run("exp-2")
    shutil.rmtree(lab.library.path)
    with pytest.raises(LibraryError):
        lab.run("exp-3")


@pytest.mark.parametrize("location", ["", " ", "--upload-pack=touch x", "a\x00b", "ext::sh -c x", "::x"])
def test_a_hostile_location_is_refused(location: str) -> None:
    with pytest.raises(LibraryError, match="can't be the library"):
        Library(location)


def test_missing_git_is_explained(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LibraryError, match="apt-get install git"):
        library.head()


def test_an_old_git_is_explained(library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.37.9\n")
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    with pytest.raises(LibraryError, match=r"2\.37\.9 is too old.*2\.38"):
        library.head()


def test_a_lost_main_is_not_begun_anew(lab: Any, git: Any) -> None:
    lab.run("exp-1")
    git(lab.library.path, "update-ref", "-d", "refs/heads/main")
    with pytest.raises(LibraryError, match="no branch main"):
        Library(lab.library.path).head()
    with pytest.raises(LibraryError, match="lost its branch main"):
        lab.library.head()


def test_eight_processes_make_it_at_once(tmp_path: Path) -> None:
    script = "import sys; from services.library import Library; print(Library(sys.argv[1]).head())"
    command = [sys.executable, "-c", script, str(tmp_path / "library.git")]
    made = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    heads = {process.communicate(timeout=60)[0].strip() for process in made}
    assert [process.returncode for process in made] == [0] * 8
    assert len(heads) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["library.git"]


def test_the_environment_and_configuration_of_the_caller_do_not_leak_in(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: Any, new_lab: Any
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "-q", "-b", "main")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    hook = hooks / "reference-transaction"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(
        f"[core]\n hooksPath = {hooks}\n[user]\n name = Eve\n[commit]\n gpgSign = true\n"
        "[i18n]\n commitEncoding = utf-16\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, str(elsewhere / ".git"))
    monkeypatch.setenv("GIT_QUARANTINE_PATH", "/nowhere")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Eve")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z")

    lab = new_lab(library.path)
    outcome = lab.run("exp-1")
    shown = git(library.path, "show", "-s", "--format=%an <%ae> %cn %ad", "--date=format:%Y", outcome.commit)
    assert shown.startswith("Genesis <genesis@localhost> Genesis 20")
    assert not shown.endswith("2001")
    assert git(elsewhere, "for-each-ref") == ""


# Committing


def test_commit_writes_files_message_and_trailers(lab: Any, git: Any) -> None:
    ref = lab.commit("exp-1", code="x = 'ü'\r\n")
    assert ref.branch == "ai/generate/Alpha/exp-1"
    assert lab.library.read(ref.commit, "strategies/Alpha/strategy.py") == "x = 'ü'\r\n"
    assert git(lab.library.path, "ls-tree", "-r", "--name-only", ref.commit).splitlines() == [
        "README.md",
        "strategies/Alpha/definition.json",
        "strategies/Alpha/strategy.py",
    ]
    assert git(lab.library.path, "log", "-1", "--format=%B", ref.branch) == (
        "Generate Alpha\n\nFrom its definition.\n\nExperiment-Id: exp-1\nStep-Key: exp-1/generate"
    )
    trailer = git(lab.library.path, "log", "-1", "--format=%(trailers:key=Step-Key,valueonly)", ref.branch)
    assert trailer == "exp-1/generate"
    assert git(lab.library.path, "rev-parse", "main") == lab.library.head()


def test_a_retry_finds_its_commit_even_after_later_steps(lab: Any, git: Any) -> None:
    first = lab.commit("exp-1")
    assert lab.commit("exp-1") == first
    second = lab.library.commit_files(
        branch=first.branch,
        files={"strategies/Alpha/strategy.py": "formatted\n"},
        message="Format",
        trailers={},
        base=first.commit,
        key="exp-1/format",
    )
    assert lab.commit("exp-1") == first
    assert lab.commit("exp-1", base=lab.library.head()) == first
    assert git(lab.library.path, "rev-parse", first.branch) == second.commit
    assert git(lab.library.path, "rev-list", "--count", f"main..{first.branch}") == "2"


def test_a_retry_after_main_moved_still_finds_its_commit(lab: Any) -> None:
    first = lab.commit("exp-1", base=lab.library.head())
    lab.run("exp-2", "Beta")
    assert lab.commit("exp-1", base=lab.library.head()) == first


def test_the_same_key_with_other_files_is_refused(lab: Any) -> None:
    lab.commit("exp-1", code="one\n")
    with pytest.raises(LibraryError, match=r"has already committed another strategies/Alpha/strategy\.py"):
        lab.commit("exp-1", code="two\n")


def test_a_branch_that_is_not_at_the_base_is_refused(lab: Any) -> None:
    first = lab.commit("exp-1")
    with pytest.raises(LibraryError, match="another step has written to it"):
        lab.library.commit_files(
            branch=first.branch,
            files={"a.py": ""},
            message="x",
            trailers={},
            base=lab.library.head(),
            key="other",
        )


def test_without_a_base_it_goes_on_at_the_tip(lab: Any, git: Any) -> None:
    first = lab.commit("exp-1")
    next_one = lab.library.commit_files(
        branch=first.branch, files={"a.py": ""}, message="x", trailers={}, key="next"
    )
    assert git(lab.library.path, "rev-parse", f"{next_one.commit}^") == first.commit
    assert lab.library.read(next_one.commit, "a.py") == ""


@pytest.mark.parametrize(
    "branch",
    [
        "main",
        "ai",
        "ai/",
        "ai//x",
        "ai/../main",
        "ai/a..b",
        "ai/-x",
        "-ai/x",
        "ai/.x",
        "ai/x.lock",
        "ai/x.",
        "ai/x y",
        "ai/x\n",
        "ai/é",
        "ai/x@{1}",
        "ai/" + "x" * 500,
        "refs/heads/ai/x",
        "",
    ],
)
def test_hostile_branches_are_refused(lab: Any, branch: str) -> None:
    with pytest.raises(LibraryError, match="can't be an experiment's branch"):
        lab.library.commit_files(branch=branch, files={"a": ""}, message="x", trailers={}, key="k")
    with pytest.raises(LibraryError, match="can't be an experiment's branch"):
        lab.library.delete_branch(branch)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "../a",
        "a/../b",
        "a//b",
        ".git/config",
        ".gitattributes",
        "a/.git/x",
        "-a",
        "a\\b",
        "a\nb",
        "ü",
        "a/",
    ],
)
def test_hostile_paths_are_refused(lab: Any, path: str) -> None:
    with pytest.raises(LibraryError, match="can't be a file of the library"):
        lab.library.commit_files(branch="ai/x", files={path: ""}, message="x", trailers={}, key="k")
    with pytest.raises(LibraryError, match="can't be a file of the library"):
        lab.library.read("main", path)


def test_what_can_not_be_committed_is_explained(lab: Any) -> None:
    def commit(files: dict[str, str], message: str = "x", branch: str = "ai/x") -> None:
        lab.library.commit_files(branch=branch, files=files, message=message, trailers={}, key="k")

    with pytest.raises(LibraryError, match="nothing to commit"):
        commit({})
    with pytest.raises(LibraryError, match=r"a\.py holds text that is not Unicode"):
        commit({"a.py": "\ud800"})
    with pytest.raises(LibraryError, match="needs a subject"):
        commit({"a.py": ""}, message=" \n\n")
    commit({"a.py": ""})
    with pytest.raises(LibraryError, match="ai/x"):
        commit({"a.py": ""}, branch="ai/x/y")
    assert [one.name for one in lab.library.branches()] == ["ai/x"]


def test_large_and_many_files(lab: Any, git: Any) -> None:
    files = {f"strategies/Big/f{number}.py": f"x = {number}\n" for number in range(400)}
    files["strategies/Big/large.py"] = "y" * 3_000_000
    ref = lab.library.commit_files(branch="ai/big", files=files, message="Big", trailers={}, key="k")
    for path in ("strategies/Big/f0.py", "strategies/Big/f399.py", "strategies/Big/large.py"):
        assert lab.library.read(ref.commit, path) == files[path]
    assert len(git(lab.library.path, "ls-tree", "-r", "--name-only", ref.commit).splitlines()) == 402


def test_ten_threads_that_commit_one_step_make_one_commit(lab: Any, git: Any) -> None:
    with ThreadPoolExecutor(10) as threads:
        refs = {ref.commit for ref in threads.map(lambda _: lab.commit("exp-1"), range(10))}
    assert len(refs) == 1
    assert git(lab.library.path, "rev-list", "--count", "main..ai/generate/Alpha/exp-1") == "1"


# Messages


@settings(max_examples=100, deadline=None)
@given(subject=st.text(min_size=1), body=st.text(), value=st.from_regex(r"[!-~]( ?[!-~])*", fullmatch=True))
def test_trailers_survive_any_subject_and_body(subject: str, body: str, value: str) -> None:
    if not "".join(char for char in subject if char.isprintable()).strip():
        subject += "x"
    message = compose(subject, body, {"Experiment-Id": value, "Engine": "offline"})
    message.encode()
    assert trailers_of(message) == {"Experiment-Id": value, "Engine": "offline"}


@pytest.mark.parametrize(
    ("key", "value"), [("a b", "x"), ("Key", "two\nlines"), ("Key", " "), ("", "x"), ("K:", "x")]
)
def test_hostile_trailers_are_refused(key: str, value: str) -> None:
    with pytest.raises(LibraryError, match="can't be a trailer"):
        compose("subject", "", {key: value})


def test_a_body_can_not_pretend_to_be_another_experiment(lab: Any) -> None:
    ref = lab.commit("exp-1")
    body = "text\n\n---\nExperiment-Id: exp-2\nStrategy: Alpha\nStrategy-Version: 7"
    lab.library.squash_merge(
        commit=ref.commit, strategy="Alpha", subject="Merge", body=body, trailers={"Experiment-Id": "exp-1"}
    )
    assert lab.run("exp-2", "Beta").status == "merged"
    assert [one.version for one in lab.library.versions("Alpha")] == [1]


# Reading


def test_unknown_commits_and_files_are_explained(lab: Any) -> None:
    head = lab.library.head()
    with pytest.raises(LibraryError, match="not in the library"):
        lab.library.read("0123456789", "README.md")
    for hostile in ("--all", "HEAD", "main~1", "refs/heads/main", "", "main:README.md", "g" * 40):
        with pytest.raises(LibraryError, match="is not a commit"):
            lab.library.read(hostile, "README.md")
    with pytest.raises(LibraryError, match=r"no file README.txt; did you mean README.md\?"):
        lab.library.read(head, "README.txt")
    with pytest.raises(LibraryError, match="no file strategies"):
        lab.library.read(lab.commit("exp-1").commit, "strategies")
    assert lab.library.read(head[:10], "README.md") == lab.library.read("main", "README.md")


def test_diffs_are_unified_texts(lab: Any) -> None:
    first = lab.commit("exp-1", code="one\n")
    lab.merge(first, "exp-1")
    second = lab.commit("exp-2", code="zwei – ü\n")
    lab.run("exp-3", "Beta")
    diff = lab.library.diff_against_main(second.commit)
    assert "diff --git a/strategies/Alpha/strategy.py b/strategies/Alpha/strategy.py" in diff
    assert "-one\n+zwei – ü\n" in diff
    assert "Beta" not in diff
    assert lab.library.diff("main", "main") == ""
    assert "Beta" in lab.library.diff(second.commit, "main")
    assert "Beta" not in lab.library.diff(second.commit, "main", ["strategies/Alpha"])


# Merging


def test_a_merge_is_one_tagged_commit_on_main(lab: Any, git: Any) -> None:
    before = lab.library.head()
    ref = lab.commit("exp-1")
    outcome = lab.library.squash_merge(
        commit=ref.commit,
        strategy="Alpha",
        subject="Merge Alpha",
        body="Every gate passes.",
        trailers={"Experiment-Id": "exp-1", "Engine": "offline"},
        files={"strategies/Alpha/metrics.json": '{"sharpe": 1.5}\n'},
    )
    assert (outcome.status, outcome.tag, outcome.commit) == (
        "merged",
        "strategies/Alpha/v1",
        lab.library.head(),
    )
    assert git(lab.library.path, "rev-list", "--parents", "-1", "main") == f"{outcome.commit} {before}"
    assert git(lab.library.path, "cat-file", "-t", outcome.tag) == "tag"
    assert git(lab.library.path, "rev-parse", f"{outcome.tag}^{{commit}}") == outcome.commit
    assert git(lab.library.path, "log", "-1", "--format=%B", "main") == (
        "Merge Alpha\n\nEvery gate passes.\n\n"
        "Experiment-Id: exp-1\nEngine: offline\nStrategy: Alpha\nStrategy-Version: 1"
    )
    assert git(lab.library.path, "ls-tree", "--name-only", "main:strategies/Alpha").splitlines() == [
        "definition.json",
        "metrics.json",
        "strategy.py",
    ]
    assert git(lab.library.path, "fsck", "--strict", "--no-dangling") == ""


def test_a_repeated_merge_finds_the_first(lab: Any, git: Any) -> None:
    ref = lab.commit("exp-1")
    first = lab.merge(ref, "exp-1")
    lab.run("exp-2", "Beta")
    again = lab.merge(ref, "exp-1")
    assert (again.status, again.commit, again.tag) == ("already_merged", first.commit, first.tag)
    lab.library.delete_branch(ref.branch)
    git(lab.library.path, "gc", "-q", "--prune=now")
    assert lab.merge(ref, "exp-1") == again
    assert git(lab.library.path, "rev-list", "--count", "main") == "3"


def test_an_id_that_begins_like_another_is_another(lab: Any) -> None:
    lab.run("exp-10")
    assert lab.run("exp-1").status == "merged"
    assert lab.run("exp-1.0").status == "merged"


def test_a_kill_between_merge_and_tag_is_mended_once(lab: Any, git: Any) -> None:
    ref = lab.commit("exp-1")
    merged = lab.merge(ref, "exp-1")
    git(lab.library.path, "update-ref", "-d", f"refs/tags/{merged.tag}")
    assert lab.run("exp-2").tag == "strategies/Alpha/v2"
    again = lab.merge(ref, "exp-1")
    assert (again.status, again.tag) == ("already_merged", "strategies/Alpha/v1")
    assert git(lab.library.path, "rev-parse", "strategies/Alpha/v1^{commit}") == merged.commit


def test_a_conflict_is_a_value_and_changes_nothing(lab: Any, git: Any) -> None:
    one, two = lab.commit("exp-1", code="one\n"), lab.commit("exp-2", code="two\n")
    lab.merge(one, "exp-1")
    before = git(lab.library.path, "for-each-ref")
    outcome = lab.merge(two, "exp-2")
    assert outcome.model_dump() == {
        "status": "conflict",
        "commit": None,
        "tag": None,
        "conflicts": ["strategies/Alpha/strategy.py"],
    }
    assert git(lab.library.path, "for-each-ref") == before
    assert lab.run("exp-3").tag == "strategies/Alpha/v2"


def test_the_same_result_again_is_a_version_of_its_own(lab: Any) -> None:
    lab.merge(lab.commit("exp-1", code="same\n"), "exp-1")
    assert lab.merge(lab.commit("exp-2", code="same\n"), "exp-2").tag == "strategies/Alpha/v2"


def test_a_tag_in_the_way_is_explained_and_nothing_merged(lab: Any, git: Any) -> None:
    before = lab.library.head()
    git(lab.library.path, "tag", "strategies/Alpha/v1", before)
    with pytest.raises(LibraryError, match="not that version of the library; delete it"):
        lab.run("exp-1")
    assert lab.library.head() == before


def test_a_tag_of_another_version_in_the_way_is_explained(lab: Any, git: Any) -> None:
    merged = lab.run("exp-1")
    git(lab.library.path, "tag", "strategies/Alpha/v2", merged.commit)
    with pytest.raises(LibraryError, match="not that version of the library; delete it"):
        lab.run("exp-2")
    assert lab.library.head() == merged.commit


def test_a_moved_tag_is_explained(lab: Any, git: Any) -> None:
    ref = lab.commit("exp-1")
    tag = lab.merge(ref, "exp-1").tag
    git(lab.library.path, "tag", "-f", tag, ref.commit)
    with pytest.raises(LibraryError, match="somebody moved it"):
        lab.merge(ref, "exp-1")


def test_merging_needs_an_experiment_a_strategy_and_a_commit(lab: Any) -> None:
    ref = lab.commit("exp-1")
    with pytest.raises(LibraryError, match="needs the trailer Experiment-Id"):
        lab.library.squash_merge(commit=ref.commit, strategy="Alpha", subject="x", trailers={})
    with pytest.raises(LibraryError, match="can't name a strategy"):
        lab.merge(ref, "exp-1", "../Alpha")
    with pytest.raises(LibraryError, match="not in the library"):
        lab.merge(ref.model_copy(update={"commit": "1" * 40}), "exp-1")


def test_twenty_threads_merge_twenty_strategies(lab: Any, git: Any) -> None:
    with ThreadPoolExecutor(20) as threads:
        outcomes = list(threads.map(lambda number: lab.run(f"exp-{number}", f"S{number}"), range(20)))
    assert {outcome.status for outcome in outcomes} == {"merged"}
    check_linear(lab, git, {outcome.commit for outcome in outcomes})
    assert [info.name for info in lab.library.strategies()] == sorted(f"S{number}" for number in range(20))


def test_processes_merge_versions_of_few_strategies(lab: Any, git: Any) -> None:
    lab.library.head()
    script = (
        "import sys; from services.library import Library\n"
        "library, number = Library(sys.argv[1]), int(sys.argv[2])\n"
        "for round in range(3):\n"
        "    experiment, strategy = f'exp-{number}-{round}', f'S{number % 2}'\n"
        "    ref = library.commit_files(branch=f'ai/{experiment}', message='x', trailers={}, key=experiment,\n"
        "        files={f'strategies/{strategy}/{experiment}.py': 'x'})\n"
        "    print(library.squash_merge(commit=ref.commit, strategy=strategy, subject='Merge',\n"
        "        trailers={'Experiment-Id': experiment}).commit)\n"
    )
    command = [sys.executable, "-c", script, str(lab.library.path)]
    running = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(6)
    ]
    commits = [line for process in running for line in process.communicate(timeout=100)[0].split()]
    assert [process.returncode for process in running] == [0] * 6
    assert len(commits) == 18
    check_linear(lab, git, set(commits))
    for strategy in ("S0", "S1"):
        versions = lab.library.versions(strategy)
        assert [info.version for info in versions] == list(range(1, 10))
        assert [git(lab.library.path, "rev-parse", f"{info.tag}^{{commit}}") for info in versions] == [
            info.commit for info in versions
        ]


def check_linear(lab: Any, git: Any, commits: set[str]) -> None:
    """`main` is the root and these commits, each with one parent, each tagged once."""
    lines = git(lab.library.path, "rev-list", "--parents", "main").splitlines()
    assert [len(line.split()) for line in lines] == [2] * len(commits) + [1]
    assert {line.split()[0] for line in lines[:-1]} == commits
    tags = git(lab.library.path, "for-each-ref", "--format=%(*objectname)", "refs/tags").splitlines()
    assert sorted(tags) == sorted(commits)
    assert git(lab.library.path, "fsck", "--strict", "--no-dangling") == ""


# Kills


def test_a_kill_at_any_git_command_of_a_merge_leaves_a_library_that_works(
    lab: Any, git: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill -9 before and after each git command that a merge runs; the retry gives exactly one merge."""
    calls = tmp_path / "calls"
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        f"#!/bin/sh\nn=$(($(cat {calls}) + 1)); echo $n > {calls}\n"
        'if [ "$n" = "$KILL_BEFORE" ]; then kill -9 $PPID; exit 1; fi\n'
        f'{shutil.which("git")} "$@"; status=$?\n'
        'if [ "$n" = "$KILL_AFTER" ]; then kill -9 $PPID; fi\nexit $status\n'
    )
    fake.chmod(0o755)
    path = os.environ["PATH"]
    process = multiprocessing.get_context("fork").Process

    def merge_elsewhere(experiment: str, commit: str, before: int, after: int) -> int | None:
        calls.write_text("0")
        monkeypatch.setenv("KILL_BEFORE", str(before))
        monkeypatch.setenv("KILL_AFTER", str(after))
        monkeypatch.setenv("PATH", f"{fake.parent}:{path}")
        child = process(target=merge_in_a_child, args=(lab.library.path, commit, experiment))
        child.start()
        child.join(60)
        monkeypatch.setenv("PATH", path)
        return child.exitcode

    assert merge_elsewhere("exp-0", lab.commit("exp-0").commit, 0, 0) == 0
    total = int(calls.read_text())
    assert total >= 8
    moments = [(number, 0) for number in range(1, total + 1)] + [
        (0, number) for number in range(1, total + 1)
    ]
    found = []
    for number, (before, after) in enumerate(moments, start=1):
        ref = lab.commit(f"exp-{number}")
        assert merge_elsewhere(f"exp-{number}", ref.commit, before, after) == -9
        outcome = lab.merge(ref, f"exp-{number}")
        assert outcome.tag == f"strategies/Alpha/v{number + 1}"
        found.append(outcome.status)
    assert set(found) == {"merged", "already_merged"}
    merged = git(
        lab.library.path, "log", "--format=%(trailers:key=Experiment-Id,valueonly,separator=)", "main"
    )
    assert merged.split() == [f"exp-{number}" for number in reversed(range(len(moments) + 1))]
    assert git(lab.library.path, "fsck", "--strict", "--no-dangling") == ""


def merge_in_a_child(path: Path, commit: str, experiment: str) -> None:
    outcome = Library(path).squash_merge(
        commit=commit, strategy="Alpha", subject="Merge", trailers={"Experiment-Id": experiment}
    )
    assert outcome.status == "merged"


def test_a_lock_left_by_a_killed_git_is_broken_once_it_is_stale(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = lab.commit("exp-1")
    lock = lab.library.path / "refs" / "heads" / "main.lock"
    lock.touch()
    monkeypatch.setattr("services.library.library._ATTEMPTS", 1)
    with pytest.raises(LibraryUnavailable, match="moved by others"):
        lab.merge(ref, "exp-1")
    assert lock.exists()
    os.utime(lock, (1, 1))
    monkeypatch.setattr("services.library.library._ATTEMPTS", 3)
    assert lab.merge(ref, "exp-1").status == "merged"
    assert not lock.exists()


# Branches


def test_deleting_a_branch_twice_is_no_error(lab: Any) -> None:
    ref = lab.commit("exp-1")
    assert lab.library.delete_branch(ref.branch) is True
    assert lab.library.delete_branch(ref.branch) is False
    assert lab.library.branches() == []
    assert lab.commit("exp-1").branch == ref.branch


def test_branches_say_whose_they_are(lab: Any) -> None:
    lab.commit("exp-1")
    lab.library.commit_files(branch="ai/fix/Alpha/exp-2", files={"a": ""}, message="x", trailers={}, key="k")
    found = {one.name: one.experiment_id for one in lab.library.branches()}
    assert found == {"ai/fix/Alpha/exp-2": "exp-2", "ai/generate/Alpha/exp-1": "exp-1"}


def test_cleanup_deletes_old_branches_of_experiments_that_are_not_kept(lab: Any, git: Any) -> None:
    for number in (1, 2, 3):
        lab.commit(f"exp-{number}")
    assert lab.library.cleanup(timedelta(days=7)) == []
    leftover = lab.library.path / "genesis-scratch" / "left"
    leftover.mkdir()
    (leftover / "index").write_text("half")
    os.utime(leftover, (1, 1))
    deleted = lab.library.cleanup(timedelta(seconds=-5), keep={"exp-2"})
    assert deleted == ["ai/generate/Alpha/exp-1", "ai/generate/Alpha/exp-3"]
    assert [one.experiment_id for one in lab.library.branches()] == ["exp-2"]
    assert not leftover.exists()
    assert lab.library.cleanup(timedelta(seconds=-5), keep={"exp-2"}) == []


def test_cleanup_leaves_a_branch_that_is_written_to_meanwhile(
    lab: Any, git: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = lab.commit("exp-1")
    seen = lab.library.branches()
    newer = git(lab.library.path, "commit-tree", f"{ref.commit}^{{tree}}", "-p", ref.commit, "-m", "newer")
    git(lab.library.path, "update-ref", f"refs/heads/{ref.branch}", newer)
    monkeypatch.setattr(lab.library, "branches", lambda: seen)
    assert lab.library.cleanup(timedelta(seconds=-5)) == []
    assert git(lab.library.path, "rev-parse", ref.branch) == newer


# Versions


def test_versions_and_comparison(lab: Any) -> None:
    lab.run("exp-1", metrics=json.dumps({"sharpe": 1.5, "trades": 4, "curve": [1, 2]}))
    lab.run("exp-2", "Beta")
    lab.run("exp-3", metrics=json.dumps({"sharpe": None, "start": "2020-01-01"}))
    one, two = lab.library.versions("Alpha")
    assert (one.version, one.experiment_id, one.engine, one.subject) == (1, "exp-1", "offline", "Merge Alpha")
    assert one.metrics == {"sharpe": 1.5, "trades": 4}
    comparison = lab.library.compare("Alpha", 1, 2)
    assert (comparison.left, comparison.right) == (one, two)
    assert comparison.metrics == {"sharpe": (1.5, None), "trades": (4, None), "start": (None, "2020-01-01")}
    assert "-# by exp-1\n+# by exp-3\n" in comparison.diff
    assert "Beta" not in comparison.diff
    assert [(info.name, info.versions, info.latest.version) for info in lab.library.strategies()] == [
        ("Alpha", 2, 2),
        ("Beta", 1, 1),
    ]


@pytest.mark.parametrize(
    ("metrics", "said"), [("{", "can't be read"), ("[1]", "holds a list"), ("\x00", "can't")]
)
def test_metrics_that_can_not_be_read_are_said_to_be_so(lab: Any, metrics: str, said: str) -> None:
    lab.run("exp-1", metrics=metrics)
    assert said in str(lab.library.versions("Alpha")[0].metrics["error"])


def test_unknown_strategies_and_versions_are_explained(lab: Any) -> None:
    with pytest.raises(LibraryError, match="the library holds none yet"):
        lab.library.versions("Alpha")
    lab.run("exp-1", "RSI_Reversal")
    with pytest.raises(LibraryError, match=r"no strategy rsi_reversl; did you mean RSI_Reversal\?"):
        lab.library.versions("rsi_reversl")
    with pytest.raises(LibraryError, match="there are RSI_Reversal"):
        lab.library.versions("Zzzz")
    with pytest.raises(LibraryError, match="can't name a strategy"):
        lab.library.versions("--all")
    with pytest.raises(LibraryError, match="no version 2; it has 1"):
        lab.library.compare("RSI_Reversal", 1, 2)


def test_commits_that_people_made_on_main_are_no_versions(lab: Any, git: Any) -> None:
    lab.run("exp-1")
    for message in ("by hand", "by hand\n\nStrategy: Alpha\nStrategy-Version: many"):
        tree = git(lab.library.path, "rev-parse", "main^{tree}")
        own = git(lab.library.path, "commit-tree", tree, "-p", "main", "-m", message)
        git(lab.library.path, "update-ref", "refs/heads/main", own)
    assert [info.version for info in lab.library.versions("Alpha")] == [1]
    assert lab.run("exp-2").tag == "strategies/Alpha/v2"
