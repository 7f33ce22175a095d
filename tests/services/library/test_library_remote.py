"""The library on a remote (a bare repository, by file URL) that several machines share, each with a mirror."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.library import Library, LibraryError, LibraryUnavailable


@pytest.fixture
def remote(tmp_path: Path, git: Any) -> Path:
    path = tmp_path / "remote.git"
    path.mkdir()
    git(path, "init", "-q", "--bare", "-b", "main")
    return path


@pytest.fixture
def here(tmp_path: Path, remote: Path, new_lab: Any) -> Any:
    return new_lab(remote.as_uri(), mirror=tmp_path / "here.git")


@pytest.fixture
def there(tmp_path: Path, remote: Path, new_lab: Any) -> Any:
    return new_lab(remote.as_uri(), mirror=tmp_path / "there.git")


def test_an_empty_remote_gets_the_root_commit_once(here: Any, there: Any, remote: Path, git: Any) -> None:
    assert here.library.head() == there.library.head() == git(remote, "rev-parse", "main")
    assert git(remote, "rev-list", "--count", "main") == "1"


def test_commits_merges_and_tags_reach_the_remote(here: Any, there: Any, remote: Path, git: Any) -> None:
    ref = here.commit("exp-1")
    assert git(remote, "rev-parse", ref.branch) == ref.commit
    assert there.library.branches()[0].commit == ref.commit
    outcome = here.merge(ref, "exp-1")
    assert git(remote, "rev-parse", "main") == outcome.commit == there.library.head()
    assert git(remote, "rev-parse", f"{outcome.tag}^{{commit}}") == outcome.commit
    assert [info.commit for info in there.library.versions("Alpha")] == [outcome.commit]
    assert git(remote, "fsck", "--strict", "--no-dangling") == ""


def test_a_step_redone_on_another_machine_finds_what_the_first_made(here: Any, there: Any) -> None:
    ref = here.commit("exp-1")
    assert there.commit("exp-1") == ref
    merged = here.merge(ref, "exp-1")
    again = there.merge(ref, "exp-1")
    assert (again.status, again.commit, again.tag) == ("already_merged", merged.commit, merged.tag)


def test_a_merge_builds_on_what_others_merged_meanwhile(
    here: Any, there: Any, remote: Path, git: Any
) -> None:
    mine, theirs = here.commit("exp-1"), there.commit("exp-2", "Beta")
    first = there.merge(theirs, "exp-2", "Beta")
    second = here.merge(mine, "exp-1")
    assert git(remote, "rev-list", "--parents", "-1", "main") == f"{second.commit} {first.commit}"


def test_a_push_that_lost_the_race_is_tried_again(here: Any, there: Any, remote: Path, git: Any) -> None:
    """Another machine merges between this one's look and its push."""
    mine, theirs = here.commit("exp-1"), there.commit("exp-2")
    repository = here.library._repository
    move, raced = repository.move, []

    def late(moves: Any) -> bool:
        if not raced:
            raced.append(there.run("exp-3", "Beta"))
        return bool(move(moves))

    repository.move = late
    outcome = here.merge(mine, "exp-1")
    assert outcome.status == "merged"
    assert git(remote, "rev-parse", f"{outcome.commit}^") == raced[0].commit
    assert there.merge(theirs, "exp-2").status == "conflict"


def test_a_branch_deleted_here_is_gone_there(here: Any, there: Any, remote: Path, git: Any) -> None:
    ref = here.commit("exp-1")
    there.library.branches()
    assert here.library.delete_branch(ref.branch) is True
    assert there.library.branches() == []
    assert there.library.delete_branch(ref.branch) is False
    assert git(remote, "for-each-ref", "refs/heads/ai") == ""


def test_machines_merge_at_once(tmp_path: Path, remote: Path, new_lab: Any, git: Any) -> None:
    labs = [new_lab(remote.as_uri(), mirror=tmp_path / f"mirror{number}.git") for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(
            threads.map(lambda number: labs[number % 4].run(f"exp-{number}", f"S{number}"), range(8))
        )
    assert {outcome.status for outcome in outcomes} == {"merged"}
    lines = git(remote, "rev-list", "--parents", "main").splitlines()
    assert [len(line.split()) for line in lines] == [2] * 8 + [1]
    assert len(git(remote, "for-each-ref", "refs/tags").splitlines()) == 8


def test_processes_may_share_one_mirror(tmp_path: Path, remote: Path, new_lab: Any, git: Any) -> None:
    labs = [new_lab(remote.as_uri(), mirror=tmp_path / "mirror.git") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(lambda number: labs[number].run(f"exp-{number}", f"S{number}"), range(4)))
    assert {outcome.status for outcome in outcomes} == {"merged"}
    assert git(remote, "rev-list", "--count", "main") == "5"


def test_a_kill_between_push_and_mirror_is_mended_by_the_next_look(here: Any, remote: Path, git: Any) -> None:
    ref = here.commit("exp-1")
    before = here.library.head()
    merged = here.merge(ref, "exp-1")
    git(here.library.path, "update-ref", "refs/heads/main", before)
    git(here.library.path, "update-ref", "-d", f"refs/tags/{merged.tag}")
    assert here.library.head() == merged.commit
    assert here.merge(ref, "exp-1").status == "already_merged"
    assert git(here.library.path, "rev-parse", f"{merged.tag}^{{commit}}") == merged.commit


def test_a_hook_that_refuses_is_an_error_with_its_words(here: Any, remote: Path, git: Any) -> None:
    ref = here.commit("exp-1")
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho main is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    before = git(remote, "for-each-ref")
    with pytest.raises(LibraryError, match=r"main is protected(.|\n)*right to push"):
        here.merge(ref, "exp-1")
    assert git(remote, "for-each-ref") == before


@pytest.mark.parametrize("protected", ["refs/heads/main", "refs/tags/strategies/Alpha/v1"])
def test_a_protected_ref_is_an_error_and_no_lost_race(
    here: Any, remote: Path, git: Any, protected: str
) -> None:
    """git calls the other ref of the push an atomic push that failed, as where another was faster."""
    ref = here.commit("exp-1")
    hook = remote / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\n[ "$1" != {protected} ] || {{ echo protected by a rule >&2; exit 1; }}\n')
    hook.chmod(0o755)
    with pytest.raises(LibraryError, match=r"protected by a rule(.|\n)*right to push"):
        here.merge(ref, "exp-1")
    assert git(remote, "rev-parse", "main") == here.library.head()


def test_a_remote_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="check the URL"):
        Library((tmp_path / "none.git").as_uri(), mirror=tmp_path / "mirror.git").head()


def test_a_remote_that_does_not_answer_may_be_tried_again(tmp_path: Path) -> None:
    library = Library("http://user:secret@127.0.0.1:9/library.git", mirror=tmp_path / "mirror.git")
    with pytest.raises(LibraryUnavailable, match="can't be reached") as caught:
        library.head()
    assert "secret" not in str(caught.value)


def test_a_remote_needs_a_mirror() -> None:
    with pytest.raises(LibraryError, match="where its mirror may live"):
        Library("https://example.org/library.git")
    with pytest.raises(LibraryError, match="where its mirror may live"):
        Library("git@example.org:library.git")
    with pytest.raises(LibraryError, match="where its mirror may live") as caught:
        Library("https://ada:secret@example.org/library.git")
    assert "secret" not in str(caught.value)


def test_a_remote_may_have_an_address_of_ipv6(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.git"
    assert Library("ssh://git@[2001:db8::1]/library.git", mirror=mirror).path == mirror


@pytest.mark.parametrize("url", ["ext://sh -c touch% {}", "evil://host/{}"])
def test_a_url_can_not_run_a_command(tmp_path: Path, url: str) -> None:
    library = Library(url.format(tmp_path / "owned"), mirror=tmp_path / "mirror.git")
    with pytest.raises(LibraryError, match="not allowed"):
        library.head()
    assert not (tmp_path / "owned").exists()
