"""Calls in a child process: limits hold, a crash takes nothing along, and the next call works."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.bounded import BoundedCalls, CallLimits, CallRefused

HERE = "tests.services.bounded_functions"


@pytest.fixture(scope="module")
def calls() -> Iterator[BoundedCalls]:
    names = ("echo", "spin", "sleep", "eat", "crash", "leave", "fail", "print_and_echo", "who", "write")
    made = BoundedCalls(
        [f"{HERE}:{name}" for name in names],
        limits=CallLimits(cpu_seconds=1, seconds=3, memory_mb=256),
        most=2,
    )
    yield made
    made.close()


@pytest.mark.parametrize(
    "value",
    [None, 1.5, "größer ≥ 3", "\ud800", "\0", {"a": [1, {"b": ""}]}, "x" * 2_000_000, "line\nline\r\n"],
)
def test_values_go_and_come_as_they_are(calls: BoundedCalls, value: object) -> None:
    assert calls.call(f"{HERE}:echo", value) == value


def test_a_child_is_used_again(calls: BoundedCalls) -> None:
    assert calls.call(f"{HERE}:who") == calls.call(f"{HERE}:who") != os.getpid()


@pytest.mark.parametrize(
    ("function", "kind"),
    [("spin", "time"), ("sleep", "time"), ("eat", "memory"), ("crash", "crash"), ("leave", "crash")],
)
def test_what_is_too_much_is_refused_and_the_next_call_works(
    calls: BoundedCalls, function: str, kind: str
) -> None:
    with pytest.raises(CallRefused) as refused:
        calls.call(f"{HERE}:{function}")
    assert refused.value.kind == kind
    assert str(refused.value)
    assert calls.call(f"{HERE}:echo", 1) == 1


def test_time_is_of_each_call_and_not_of_the_child(calls: BoundedCalls) -> None:
    first = calls.call(f"{HERE}:who")
    for _ in range(4):
        calls.call(f"{HERE}:spin", 0.4)
    assert calls.call(f"{HERE}:who") == first


def test_a_fault_of_ours_is_told_with_its_place(calls: BoundedCalls) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        calls.call(f"{HERE}:fail")


def test_what_a_library_prints_does_not_break_the_protocol(calls: BoundedCalls) -> None:
    assert calls.call(f"{HERE}:print_and_echo", "said") == "said"


def test_it_writes_no_file(calls: BoundedCalls, tmp_path: Path) -> None:
    assert calls.call(f"{HERE}:write", str(tmp_path / "file")) == "File too large"
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size == 0


def test_a_child_that_was_killed_while_idle_is_replaced(calls: BoundedCalls) -> None:
    pid = calls.call(f"{HERE}:who")
    os.kill(pid, signal.SIGKILL)
    assert calls.call(f"{HERE}:echo", 2) == 2


def test_many_threads_share_few_children(calls: BoundedCalls) -> None:
    answers: list[tuple[int, int]] = []

    def ask(number: int) -> None:
        answers.append((number, calls.call(f"{HERE}:echo", number)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [(number, number) for number in range(12)]


def test_a_child_that_cannot_start_says_so() -> None:
    calls = BoundedCalls(["services.nowhere:nothing"])
    with pytest.raises(RuntimeError, match=r"services\.nowhere:nothing didn't start"):
        calls.call("services.nowhere:nothing")


def test_closing_ends_the_children_and_a_later_call_starts_one() -> None:
    calls = BoundedCalls([f"{HERE}:who"])
    first = calls.call(f"{HERE}:who")
    calls.close()
    calls.close()
    assert not Path(f"/proc/{first}").exists()
    assert calls.call(f"{HERE}:who") != first
    calls.close()


def test_it_gets_no_secret(calls: BoundedCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_TOKEN", "secret")
    fresh = BoundedCalls(["os:getenv"])
    assert fresh.call("os:getenv", "GENESIS_TOKEN") is None
    fresh.close()


OWNER = f"""
import time
from services.bounded import BoundedCalls
calls = BoundedCalls(["{HERE}:who"])
print(calls.call("{HERE}:who"), flush=True)
time.sleep(60)
"""


def test_children_end_with_an_owner_that_is_killed() -> None:
    root = Path(__file__).parents[2]
    owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=root, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 20
    while is_running(child):
        assert time.monotonic() < deadline, "the child outlived its owner"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether it runs: one that ended and waits for its parent doesn't."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
