"""The harness's parts that can be looked at from outside; as a whole it is tested through the sandboxes."""

import errno
import os
import platform
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from harness.seccomp import ALLOW, ERRNO, KILL_PROCESS, MACHINES, REFUSED, X32, assemble
from harness.wire import FRAME, HostGone, read_frame, write_frame
from harness.workspace import Refused, Workspace

ROOT = Path(__file__).resolve().parents[2]


def decide(code: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the kernel would make of a system call: classic BPF, as far as the filter uses it."""
    data = struct.pack("=iIQ6Q", number, architecture, 0, *(list(arguments) + [0] * 6)[:6])
    program = [struct.unpack_from("=HBBI", code, start) for start in range(0, len(code), 8)]
    place = accumulator = 0
    while True:
        operation, if_true, if_false, value = program[place]
        place += 1
        if operation == 0x06:
            return value
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[operation]
            place += if_true if holds else if_false


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_the_filter_decides_as_it_says(machine: str) -> None:
    on = MACHINES[machine]
    place, architecture, clone, clone3, prlimit = on.place, on.architecture, on.clone, on.clone3, on.prlimit64
    code = assemble(machine)
    assert code is not None
    for name, numbers in REFUSED.items():
        if numbers[place] is not None:
            assert decide(code, architecture, numbers[place]) == ERRNO | 1, name
    assert decide(code, architecture, clone, 0x11) == ALLOW  # fork
    assert decide(code, architecture, clone, 0x003D0F00) == ALLOW  # a thread
    for flag in (0x20000, 0x10000000, 0x20000000, 0x40000000, 0x02000000):
        assert decide(code, architecture, clone, flag | 17) == ERRNO | 1
    assert decide(code, architecture, clone3) == ERRNO | 38
    assert decide(code, architecture, prlimit, 0) == ALLOW
    assert decide(code, architecture, prlimit, 1) == ERRNO | 1
    for call in (on.socket, on.socketpair):
        allowed = {family for family in range(64) if decide(code, architecture, call, family) == ALLOW}
        assert allowed == {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}
        assert decide(code, architecture, call, socket.AF_VSOCK) == ERRNO | errno.EAFNOSUPPORT
    for call, before in ((on.mknod, 1), (on.mknodat, 2)):
        if call is not None:
            fifo, file, unix = (
                [0] * before + [kind | 0o600] for kind in (stat.S_IFIFO, stat.S_IFREG, stat.S_IFSOCK)
            )
            assert {decide(code, architecture, call, *made) for made in (fifo, file, unix)} == {ALLOW}
            for device in (stat.S_IFCHR, stat.S_IFBLK):
                assert decide(code, architecture, call, *[0] * before, device | 0o600) == ERRNO | 1
    assert decide(code, architecture ^ 1, 0) == KILL_PROCESS
    if machine == "x86_64":
        assert decide(code, architecture, X32 | 1) == KILL_PROCESS
    listed = {numbers[place] for numbers in REFUSED.values()} | {clone3}
    for number in set(range(450)) - listed - {clone, prlimit, on.socket, on.socketpair, on.mknod, on.mknodat}:
        assert decide(code, architecture, number) == ALLOW


def test_a_machine_without_numbers_has_no_filter() -> None:
    assert assemble("m68k") is None
    assert platform.machine() in MACHINES


def test_frames_go_through_a_pipe_and_broken_ones_end_it() -> None:
    read, write = os.pipe()
    write_frame(write, {"do": "x", "ü": 1}, b"body")
    assert read_frame(read) == ({"do": "x", "ü": 1}, b"body")
    os.write(write, FRAME.pack(1 << 31, 0))
    with pytest.raises(HostGone, match="frame"):
        read_frame(read)
    os.write(write, b"\0\0")
    os.close(write)
    with pytest.raises(HostGone, match="ended"):
        read_frame(read)
    os.close(read)


def test_it_refuses_to_serve_where_it_would_kill_everything() -> None:
    """Outside a namespace of its own, `kill(-1)` would mean the whole machine."""
    config = '{"libraries": [], "workspace": "/nowhere", "memory": 1, "processes": 1, "disk": 1, "output": 1}'
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "harness" / "__main__.py"), config],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 1
    assert "must be PID 1" in ran.stderr


def test_a_workspace_lists_what_hostile_code_left(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    deep = tmp_path
    for _ in range(60):
        deep = deep / "d"
        deep.mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(".")
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe")).write_text("x")
    found = {entry["path"]: entry["kind"] for entry in workspace.entries(1000)}
    assert found["fifo"] == "other"
    assert found["loop"] == "link"
    assert found["\\xff\\xfe"] == "file"
    assert max(path.count("/") for path in found) == 31
    assert len(workspace.entries(3)) == 3


def test_a_workspace_tells_a_changed_file(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.put("a/b", b"one", append=False)
    workspace.put("a/b", b"two", append=True)
    assert workspace.read_put("a/b", 100)[0] == b"onetwo"
    (tmp_path / "a" / "b").write_bytes(b"onetwo!")
    with pytest.raises(Refused) as changed:
        workspace.read_put("a/b", 100)
    (tmp_path / "made").write_bytes(b"x")
    with pytest.raises(Refused) as foreign:
        workspace.read_put("made", 100)
    assert (changed.value.kind, foreign.value.kind) == ("changed", "missing")


def test_clearing_keeps_what_was_put_and_follows_nothing(tmp_path: Path) -> None:
    outside, root, scratch = tmp_path / "outside", tmp_path / "root", tmp_path / "scratch"
    for place in (outside, root, scratch):
        place.mkdir()
    (outside / "theirs").write_text("not the sandbox's")
    workspace = Workspace(str(root), [str(scratch)])
    workspace.put("kept", b"1", append=False)
    workspace.put("a/b/kept", b"2", append=False)
    (root / "link").symlink_to(outside)
    (root / "a" / "b" / "link").symlink_to(outside / "theirs")
    (root / "a" / "planted").write_text("x")
    (root / "closed" / "inner").mkdir(parents=True)
    (root / "closed" / "inner" / "x").write_text("x")
    (root / "closed").chmod(0)
    (root / ".genesis-guess").mkdir()
    os.mkfifo(scratch / "fifo")
    here = os.open(scratch, os.O_RDONLY)
    for _ in range(3000):  # deeper than any path may be long
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    workspace.clear()
    assert sorted(entry["path"] for entry in workspace.entries(100)) == ["a", "a/b", "a/b/kept", "kept"]
    assert os.listdir(scratch) == []
    assert (outside / "theirs").read_text() == "not the sandbox's"
    assert workspace.read_put("a/b/kept", 10)[0] == b"2"
    workspace.clear()
    assert workspace.read_put("kept", 10)[0] == b"1"


def test_clearing_does_not_trust_a_directory_that_was_exchanged(tmp_path: Path) -> None:
    """Where a link stands in place of a directory on the way to what was put, the link goes, and nothing behind it."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "kept").write_text("theirs")
    workspace = Workspace(str(root))
    workspace.put("a/kept", b"1", append=False)
    (root / "a" / "kept").unlink()
    (root / "a").rmdir()
    (root / "a").symlink_to(outside)
    workspace.clear()
    assert os.listdir(root) == []
    assert (outside / "kept").read_text() == "theirs"
    with pytest.raises(Refused) as missing:
        workspace.read_put("a/kept", 10)
    assert missing.value.kind == "missing"
