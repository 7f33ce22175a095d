"""Paths that try to leave the workspace, things that are no files, and a directory that turns into a link meanwhile."""

import ctypes
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from services.tools.contained import Contained, Way, has_openat2
from services.tools.errors import ToolRefused

SECRET = b"outside"


@pytest.fixture(params=["openat2", "walk"])
def way(request: pytest.FixtureRequest) -> Way:
    if request.param == "openat2" and not has_openat2():
        pytest.skip("this kernel has no openat2, so Genesis walks here")
    return "openat2" if request.param == "openat2" else "walk"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    return tmp_path / "outside"


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "a.txt").write_bytes(b"inside")
    return tmp_path / "work"


@pytest.fixture
def inside(root: Path, way: Way) -> Iterator[Contained]:
    with Contained(root, way) as contained:
        yield contained


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ToolRefused) as caught:
        call()
    assert len(str(caught.value)) < 400
    return caught.value.kind


def every_call(inside: Contained, path: str) -> dict[str, Callable[[], object]]:
    return {
        "read": lambda: inside.read(path, 100),
        "size": lambda: inside.size(path),
        "create": lambda: inside.create(path, b"x"),
        "overwrite": lambda: inside.overwrite(path, b"x"),
        "append": lambda: inside.append(path, b"x", 100),
        "exists": lambda: inside.exists(path),
    }


def test_this_machine_has_the_stronger_way() -> None:
    assert has_openat2() == (tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 6))


def test_files_are_written_and_read(inside: Contained, root: Path) -> None:
    inside.create("new/deeper/ünï code.txt", b"one")
    assert inside.read("new/deeper/ünï code.txt", 3) == b"one"
    inside.overwrite("new/deeper/ünï code.txt", b"two, longer")
    assert inside.append("new/deeper/ünï code.txt", b"!", 12) == 12
    assert (root / "new" / "deeper" / "ünï code.txt").read_bytes() == b"two, longer!"
    assert inside.exists("new")
    assert not inside.exists("new/other")
    assert not inside.exists("none/other")
    inside.create("empty", b"")
    assert inside.read("empty", 1) == b""
    assert sorted(file.name for file in root.iterdir()) == [
        "a.txt",
        "deep",
        "empty",
        "new",
    ]  # no scratch is left


def test_what_exists_is_not_created_and_what_does_not_is_not_overwritten(
    inside: Contained, root: Path
) -> None:
    assert refusal(lambda: inside.create("a.txt", b"x")) == "exists"
    assert refusal(lambda: inside.create("deep", b"x")) == "exists"
    assert refusal(lambda: inside.overwrite("b.txt", b"x")) == "missing"
    assert refusal(lambda: inside.append("b.txt", b"x", 9)) == "missing"
    assert refusal(lambda: inside.read("b.txt", 9)) == "missing"
    assert refusal(lambda: inside.create("a.txt/b", b"x")) == "path"
    assert refusal(lambda: inside.read("a.txt/b", 9)) == "path"
    assert (root / "a.txt").read_bytes() == b"inside"
    assert sorted(file.name for file in root.iterdir()) == ["a.txt", "deep"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "..",
            "../outside/secret",
            "deep/../../outside/secret",
            "deep/..",
            "/etc/passwd",
            "//etc/passwd",
            "/",
        ),
        *("", ".", "./a.txt", "deep//a", "deep/", "a\x00b", "a\nb", "a\x7fb", "\ud800", "x" * 256, "é" * 128),
        *(
            ".git/config",
            ".git",
            "deep/.GIT/hooks/pre-commit",
            ".git./config",
            ".git /config",
            "x/" * 2500 + "x",
        ),
    ],
)
def test_paths_that_lead_out_are_refused(inside: Contained, outside: Path, path: str) -> None:
    for call in every_call(inside, path).values():
        assert refusal(call) == "path"
    assert (outside / "secret").read_bytes() == SECRET


@pytest.mark.parametrize("absolute", [True, False])
def test_links_are_not_followed(inside: Contained, root: Path, outside: Path, absolute: bool) -> None:
    target = outside if absolute else Path("../outside")
    (root / "to_file").symlink_to(target / "secret")
    (root / "to_folder").symlink_to(target)
    (root / "within").symlink_to("a.txt")
    (root / "dangling").symlink_to(target / "new")
    (root / "deep" / "up").symlink_to("..")
    for path in ("to_file", "to_folder/secret", "within", "dangling", "deep/up/a.txt", "to_folder/new"):
        for name, call in every_call(inside, path).items():
            if name == "exists" and "/" not in path:
                assert call() is True  # the link itself
            else:
                assert refusal(call) in ("path", "exists"), (name, path)
    assert [file.name for file in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == SECRET


def test_a_file_with_a_second_name_is_refused(inside: Contained, root: Path, outside: Path) -> None:
    os.link(outside / "secret", root / "twin")
    for name in ("read", "overwrite", "append", "size"):
        assert refusal(every_call(inside, "twin")[name]) == "not_regular"
    assert (outside / "secret").read_bytes() == SECRET


def test_what_is_no_file_is_never_opened(inside: Contained, root: Path) -> None:
    """Opening a FIFO would wait for ever, or wake who waits at its other end."""
    os.mkfifo(root / "fifo")
    if os.geteuid() == 0:
        os.mknod(root / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 9))  # urandom has no end
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
    waiting = threading.Thread(target=lambda: (root / "fifo").open("rb").close(), daemon=True)
    waiting.start()
    for path in ("fifo", "socket", "deep", *(["device"] if os.geteuid() == 0 else [])):
        for name in ("read", "overwrite", "append", "size"):
            assert refusal(every_call(inside, path)[name]) == "not_regular"
        assert refusal(every_call(inside, path)["create"]) == "exists"
    assert waiting.is_alive()
    with (root / "fifo").open("wb"):
        waiting.join(10)


def test_sizes_are_limited(inside: Contained, root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no place
    with pytest.raises(ToolRefused, match=f"huge has {1 << 40} bytes, at most 1000 are read") as caught:
        inside.read("huge", 1000)
    assert caught.value.kind == "too_large"
    assert refusal(lambda: inside.append("huge", b"x", 1000)) == "too_large"
    assert inside.append("a.txt", b"1234", 10) == 10
    assert refusal(lambda: inside.append("a.txt", b"5", 10)) == "too_large"


def test_a_mode_is_kept_and_never_privileged(inside: Contained, root: Path) -> None:
    (root / "a.txt").chmod(0o6755)
    inside.overwrite("a.txt", b"#!")
    assert stat.S_IMODE((root / "a.txt").stat().st_mode) == 0o755


def test_two_appends_at_once_keep_the_limit_and_lose_nothing(inside: Contained, root: Path) -> None:
    def add(number: int) -> bool:
        try:
            inside.append("a.txt", bytes([number]) * 10, 106)
        except ToolRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(30))) == 10
    assert len((root / "a.txt").read_bytes()) == 106


def test_one_of_many_creates_a_file(inside: Contained, root: Path) -> None:
    kinds: set[str] = set()

    def create(number: int) -> bool:
        try:
            inside.create("new/folder/file", b"%d" % number)
        except ToolRefused as refused:
            kinds.add(refused.kind)
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(24))) == 1
    assert kinds == {"exists"}
    assert [file.name for file in (root / "new" / "folder").iterdir()] == ["file"]


def test_the_directory_is_the_one_that_was_opened(inside: Contained, root: Path, outside: Path) -> None:
    root.rename(root.with_name("moved"))
    root.symlink_to(outside)
    assert refusal(lambda: inside.read("secret", 100)) == "missing"
    assert inside.read("a.txt", 100) == b"inside"


def test_a_folder_that_becomes_a_link_in_a_race_leads_nowhere(
    inside: Contained, root: Path, outside: Path
) -> None:
    """One thread swaps a folder for a link to the outside and back, as fast as it can; none of our calls gets out."""
    (root / "door").mkdir()
    (root / "door" / "secret").write_bytes(b"inside")
    (root / "link").symlink_to(outside)
    stop, libc = threading.Event(), ctypes.CDLL(None)

    def swap() -> None:
        exchange = 2  # both names change hands at once, so that one of the two is always there
        while not stop.is_set():
            assert libc.renameat2(-100, bytes(root / "door"), -100, bytes(root / "link"), exchange) == 0

    calls: dict[str, Callable[[int], object]] = {
        "read": lambda number: inside.read("door/secret", 100),
        "overwrite": lambda number: inside.overwrite("door/secret", b"inside"),
        "append": lambda number: inside.append("door/secret", b"", 100),
        "create": lambda number: inside.create(f"door/new-{number}", b"x"),
    }
    outcomes: set[tuple[str, object]] = set()
    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        deadline, number = time.monotonic() + 60, 0
        while number < 1000 or (len(outcomes) < 2 * len(calls) and time.monotonic() < deadline):
            number += 1
            for name, call in calls.items():
                try:
                    outcomes.add((name, call(number)))
                except ToolRefused as refused:
                    outcomes.add((name, refused.kind))
    finally:
        stop.set()
        swapping.join()
    done = {("read", b"inside"), ("overwrite", None), ("append", 6), ("create", None)}
    assert outcomes == done | {(name, "path") for name in calls}  # each met the folder, and each met the link
    assert [file.name for file in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == SECRET


def test_descriptors_are_given_back(inside: Contained) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a.txt", "deep", "none", "deep/none", "../x", "a.txt/x"):
        for call in every_call(inside, path).values():
            with suppress(ToolRefused):
                call()
    assert len(os.listdir("/proc/self/fd")) == before
