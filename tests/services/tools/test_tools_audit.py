"""The log of the tools on a real disk: altered, cut, torn, and written by many at once."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.chain import GENESIS, ChainReport, Head
from services.tools import AuditDamaged, AuditLog, AuditUnwritable

Lines = list[bytes]


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "tools", clock=lambda: datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))


def fill(log: AuditLog, count: int = 6) -> None:
    for number in range(1, count + 1):
        log.append({"event": "called", "what": f"ü {number}"})


def verified(log: AuditLog, *expected: Head) -> ChainReport:
    report = log.verify(expected)
    assert report
    return report


def kinds(log: AuditLog, *expected: Head) -> list[tuple[str, str]]:
    return [(finding.kind, finding.where) for finding in verified(log, *expected).findings]


def head_of(log: AuditLog) -> dict[str, object]:
    kept: dict[str, object] = json.loads(log.path.with_name("audit.head").read_bytes())
    return kept


def test_no_log_is_no_report_and_makes_no_file(log: AuditLog) -> None:
    assert log.verify() is None
    assert not log.path.parent.exists()


def test_a_line_is_json_and_its_head_is_kept(log: AuditLog) -> None:
    first = log.append({"event": "called"})
    second = log.append({"event": "done", "deep": {"b": [1.5, None], "a": "\ud800 \x00"}})
    lines = [json.loads(line) for line in log.path.read_text("ascii").splitlines()]
    assert lines[0] == {
        "number": 1,
        "at": "2026-01-02T03:04:05.000006+00:00",
        "entry": {"event": "called"},
        "previous": GENESIS,
        "hash": first.hash,
    }
    assert lines[1]["previous"] == first.hash
    assert second.audit_id == f"2-{second.hash[:16]}"
    assert head_of(log) == {"count": 2, "hash": second.hash, "size": log.path.stat().st_size}
    assert verified(log).ok
    assert [oct(file.stat().st_mode & 0o777) for file in sorted(log.path.parent.iterdir())] == ["0o600"] * 3


@pytest.mark.parametrize("entry", [{"a": float("nan")}, {"a": object()}, {"a": "x" * 200_000}])
def test_what_can_not_be_logged_is_refused_and_leaves_nothing(
    log: AuditLog, entry: dict[str, object]
) -> None:
    log.append({"event": "called"})
    before = log.path.read_bytes()
    with pytest.raises((ValueError, TypeError)):
        log.append(entry)
    assert log.path.read_bytes() == before
    assert log.append({"event": "done"}).number == 2
    assert verified(log).ok


def altered(line: bytes) -> bytes:
    return line.replace(b"u00fc", b"u00fd")


ALTERATIONS: list[tuple[str, Callable[[Lines], Lines], list[tuple[str, str]]]] = [
    ("changed", lambda old: [*old[:2], altered(old[2]), *old[3:]], [("changed", "line 3")]),
    ("changed spaces", lambda old: [*old[:2], b" " + old[2], *old[3:]], [("changed", "line 3")]),
    ("changed last", lambda old: [*old[:5], altered(old[5])], [("changed", "line 6")]),
    ("removed", lambda old: [*old[:2], *old[3:]], [("removed", "line 3")]),
    ("removed first", lambda old: old[1:], [("removed", "line 1")]),
    ("inserted", lambda old: [*old[:2], b'{"event":"x"}\n', *old[2:]], [("inserted", "line 3")]),
    ("inserted blank", lambda old: [*old[:2], b"\n", *old[2:]], [("inserted", "line 3")]),
    ("doubled", lambda old: [*old[:3], *old[2:]], [("inserted", "line 4")]),
    ("reordered", lambda old: [*old[:2], old[3], old[2], *old[4:]], [("reordered", "line 4")]),
    ("cut", lambda old: old[:4], [("truncated", "the end")]),
    ("cut to nothing", lambda old: [], [("truncated", "the end")]),
    ("cut inside", lambda old: [*old[:5], old[5][:30]], [("truncated", "the end")]),
    ("deep", lambda old: [*old[:2], b"[" * 50_000 + b"\n", *old[2:]], [("inserted", "line 3")]),
    (
        "long",
        lambda old: [*old, b"x" * 300_000],
        [("changed", "line 7"), ("changed", "line 8"), ("inserted", "the end")],
    ),
    (
        "long number",
        lambda old: [*old[:2], b'{"number":' + b"9" * 9000 + b"}\n", *old[2:]],
        [("inserted", "line 3")],
    ),
]


@pytest.mark.parametrize(
    ("change", "found"), [case[1:] for case in ALTERATIONS], ids=[case[0] for case in ALTERATIONS]
)
def test_an_altered_log_is_told_from_its_place(
    log: AuditLog, change: Callable[[Lines], Lines], found: list[tuple[str, str]]
) -> None:
    fill(log)
    log.path.write_bytes(b"".join(change(log.path.read_bytes().splitlines(keepends=True))))
    assert kinds(log) == found


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_byte_that_changes_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    log = AuditLog(tmp_path_factory.mktemp("log"))
    fill(log, 3)
    whole = bytearray(log.path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    log.path.write_bytes(whole)
    assert not verified(log).ok


def test_a_cut_log_is_not_continued(log: AuditLog) -> None:
    fill(log)
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(lines[:4]))
    with pytest.raises(AuditDamaged, match=r"was cut: .* audit verify, then move the folder"):
        log.append({"event": "called"})
    log.path.unlink()
    with pytest.raises(AuditDamaged, match="was cut"):
        log.append({"event": "called"})


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"count":"6","hash":"x","size":1}', b"\xff"])
def test_a_lost_or_broken_head_is_found_and_not_replaced(log: AuditLog, content: bytes | None) -> None:
    fill(log)
    head = log.path.with_name("audit.head")
    head.unlink()
    if content is not None:
        head.write_bytes(content)
    assert kinds(log) == [("no_head", "the end")]
    with pytest.raises(AuditDamaged, match="audit verify"):
        log.append({"event": "called"})


def test_a_log_and_head_written_anew_need_a_head_kept_elsewhere(tmp_path: Path, log: AuditLog) -> None:
    fill(log)
    kept = verified(log).head
    forged = AuditLog(tmp_path / "forged")
    fill(forged)
    assert kinds(forged) == []
    assert [kind for kind, _ in kinds(forged, kept)] == ["rewritten"]
    assert kinds(log, kept) == []


# Crashes


def write_behind(log: AuditLog, data: bytes) -> None:
    """As a process that was killed before it wrote the head."""
    with log.path.open("ab") as file:
        file.write(data)


def next_line(log: AuditLog) -> bytes:
    """What the next append would write."""
    head, size = log.path.with_name("audit.head").read_bytes(), log.path.stat().st_size
    log.append({"event": "called", "what": "lost"})
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:size])
    log.path.with_name("audit.head").write_bytes(head)
    return whole[size:]


def test_a_whole_line_without_its_head_is_taken_in(log: AuditLog) -> None:
    fill(log, 3)
    write_behind(log, next_line(log))
    assert verified(log).ok
    assert log.append({"event": "done"}).number == 5
    assert verified(log).ok


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_torn_line_is_said_and_accounted_for(log: AuditLog, kept: int) -> None:
    fill(log, 3)
    write_behind(log, next_line(log)[:kept])
    report = verified(log)
    assert report.ok
    assert report.notes == ("line 4 is torn: a process ended while it wrote; the next entry accounts for it",)
    sealed = log.append({"event": "done"})
    assert sealed.number == 5  # the fourth accounts for the torn line
    fill(log, 2)
    report = verified(log)
    assert report.findings == ()
    assert report.head.count == 7
    (note,) = report.notes
    assert note.startswith("line 5 accounts for ")


def test_only_the_line_end_was_lost(log: AuditLog) -> None:
    fill(log, 3)
    write_behind(log, next_line(log)[:-1])
    assert verified(log).ok
    assert log.append({"event": "done"}).number == 5
    assert (verified(log).ok, verified(log).notes) == (True, ())


def test_torn_twice_in_a_row(log: AuditLog) -> None:
    fill(log, 2)
    write_behind(log, b'{"at":')
    account = next_line(log)  # begins with the line end of the torn one
    assert account.startswith(b"\n")
    write_behind(log, account[:50])
    log.append({"event": "done"})
    assert (verified(log).ok, verified(log).head.count) == (True, 4)


def test_a_torn_line_that_is_changed_later_is_found(log: AuditLog) -> None:
    fill(log, 2)
    write_behind(log, b'{"at":"2026')
    fill(log, 2)
    assert verified(log).ok
    log.path.write_bytes(log.path.read_bytes().replace(b'{"at":"2026\n', b'{"at":"2027\n'))
    assert kinds(log) == [("inserted", "line 3")]
    log.path.write_bytes(log.path.read_bytes().replace(b'{"at":"2027\n', b""))
    assert verified(log).ok  # what a crash left is no entry: that it was there stays on record


def test_more_than_a_crash_leaves_is_not_taken_for_one(log: AuditLog) -> None:
    fill(log, 2)
    write_behind(log, b"x" * 300_000)
    with pytest.raises(AuditDamaged, match="more than a crash leaves"):
        log.append({"event": "called"})


def test_killed_at_any_moment_it_goes_on(log: AuditLog) -> None:
    context = multiprocessing.get_context("fork")
    for round_ in range(6):
        child = context.Process(target=append_for_ever, args=(log,))
        child.start()
        wanted = log.path.stat().st_size + 2000 if log.path.exists() else 1
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (log.path.exists() and log.path.stat().st_size >= wanted):
            time.sleep(0.001 * (round_ + 1))
        assert child.pid
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        log.append({"event": "after the kill"})
    report = verified(log)
    assert report.findings == ()
    assert report.head.count > 12


def append_for_ever(log: AuditLog) -> None:
    while True:
        log.append({"event": "called", "what": "x" * 500})


# Many at once, and a disk that refuses


def test_processes_and_threads_make_one_chain(log: AuditLog) -> None:
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=fill, args=(log, 15)) for _ in range(4)]
    for child in children:
        child.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fill(AuditLog(log.path.parent), 15), range(4)))
        assert verified(log).ok  # while others write
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 4
    report = verified(log)
    assert (report.findings, report.head.count) == ((), 120)


def test_a_place_that_is_no_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AuditUnwritable, match="Tools do nothing unlogged"):
        AuditLog(tmp_path / "file").append({"event": "called"})


def test_a_link_or_fifo_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditUnwritable, match="a link stands in its place"):
        AuditLog(tmp_path).append({"event": "called"})
    assert (tmp_path / "elsewhere").read_text() == ""
    (tmp_path / "audit.jsonl").unlink()
    os.mkfifo(tmp_path / "audit.jsonl")
    with pytest.raises(AuditUnwritable, match="is not a file"):
        AuditLog(tmp_path).append({"event": "called"})


def test_a_full_disk_tears_a_line_and_the_log_goes_on(log: AuditLog) -> None:
    """The limit of a file's size stands for a full disk: the kernel writes what fits and then refuses."""
    import resource

    fill(log, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 50, before[1]))
        with pytest.raises(AuditUnwritable, match="File too large"):
            log.append({"event": "called"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert log.append({"event": "called"}).number == 4
    assert verified(log).ok
