"""A trial's process that was made ahead: used once, by nobody before, and under the same limits."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import docker
import pandas as pd
import pytest
from backtesting.test import GOOG

from schemas.sandbox import TrialOrder, TrialResult
from services.sandboxes import Sandbox, SandboxRefusal
from services.sandboxes.bubblewrap import BubblewrapSandbox
from services.sandboxes.docker import DockerSandbox

Make = Callable[..., Sandbox]

pytestmark = pytest.mark.timeout(120)

TRADER = """
import os, sys, random
import numpy, pandas, talib
from backtesting import Strategy

print(os.getpid(), getattr(pandas, "mark", "clean"), os.listdir("/proc/self/fd"), os.environ.get("HOME"))
print(numpy.random.random(), random.random(), sys.stdin.read(), sorted(os.listdir()), sep="|", file=sys.stderr)
pandas.mark = sys.modules["mark"] = "dirty"


class S(Strategy):
    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, 14)

    def next(self):
        if not self.position and self.rsi[-1] < 30:
            self.buy()
        elif self.position and self.rsi[-1] > 70:
            self.position.close()
"""


def csv_of(bars: pd.DataFrame) -> bytes:
    return bars.to_csv(index_label="Date", date_format="%Y-%m-%dT%H:%M:%SZ").encode()


def trial(sandbox: Sandbox, code: str = TRADER, timeout: float = 30.0) -> TrialResult:
    sandbox.put({"strategy.py": code.encode()})
    return sandbox.trial(TrialOrder(code="strategy.py", entrypoint="S", data="bars.csv"), timeout=timeout)


@pytest.fixture
def prepared(make: Make) -> Sandbox:
    sandbox = make(memory_mb=256, processes=16, disk_mb=8)
    sandbox.prepare()
    sandbox.put({"bars.csv": csv_of(GOOG)})
    return sandbox


def children_in(sandbox: Sandbox) -> list[int]:
    """The harness's children, as the host numbers them."""
    if isinstance(sandbox, BubblewrapSandbox):
        pid = sandbox.pid
    else:
        assert isinstance(sandbox, DockerSandbox)
        pid = docker.from_env().api.inspect_container(sandbox.container)["State"]["Pid"]
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def processes_in(sandbox: Sandbox) -> int:
    """As a command sees them: itself and the harness, where nothing else is there."""
    return sandbox.run(["sh", "-c", "echo /proc/[0-9]*"], timeout=10).stdout.count("/proc/")


@pytest.mark.parametrize("bars", [None, 700])
def test_it_comes_to_the_same_and_serves_once(prepared: Sandbox, bars: int | None) -> None:
    prepared.put({"bars.csv": csv_of(GOOG.iloc[:bars])})
    first, second, third = (trial(prepared) for _ in range(3))
    assert first.trades
    assert first.trades == second.trades == third.trades
    assert (first.book, first.stats, first.indicators) == (second.book, second.stats, second.indicators)
    pids, states = zip(*(each.run.stdout.split(" ", 1) for each in (first, second, third)), strict=True)
    assert len(set(pids)) == 3
    assert len(set(states)) == 1  # no mark of the trial before it, no other open files, the same environment
    assert states[0].startswith("clean ")
    drawn = [each.run.stderr.split("|") for each in (first, second, third)]
    assert len({numbers for numbers, *_ in drawn}) == 3
    assert len({draw for _, draw, *_ in drawn}) == 3
    assert {(stdin, files) for _, _, stdin, files in drawn} == {("", "['bars.csv', 'strategy.py']\n")}


def test_a_command_never_meets_it(prepared: Sandbox) -> None:
    assert processes_in(prepared) == 2
    prepared.prepare()  # untrusted code has run: nothing is made ahead any more
    assert processes_in(prepared) == 2
    assert trial(prepared).trades


def test_asked_twice_there_is_one(prepared: Sandbox) -> None:
    for _ in range(20):
        prepared.prepare()
    assert len(children_in(prepared)) == 1
    assert trial(prepared).trades
    assert children_in(prepared) == []


def test_a_refused_trial_leaves_it_waiting(prepared: Sandbox) -> None:
    with pytest.raises(SandboxRefusal, match="was not put"):
        prepared.trial(TrialOrder(code="absent.py", entrypoint="S", data="bars.csv"), timeout=5)
    assert trial(prepared).trades


def test_data_too_large_to_be_sent_is_inherited(prepared: Sandbox) -> None:
    times = pd.date_range("2000-01-01", periods=30_000, freq="h")
    bars = pd.concat([GOOG] * 14).iloc[:30_000].set_axis(times)
    prepared.put({"bars.csv": csv_of(bars)})
    idle = TRADER.replace("self.rsi[-1] < 30", "len(self.data) == 29_000")
    result = trial(prepared, idle)
    assert [trade["entry_bar"] for trade in result.trades or []] == [29_000]
    assert processes_in(prepared) == 2


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("x = [bytearray(1 << 20) for _ in range(2000)]", "out_of_memory"),
        ("while True: pass", "timed_out"),
        ("open('big', 'wb').write(bytes(64 << 20))", "disk_full"),
        ("print('x' * (4 << 20))", "output_truncated"),
        (
            "import os\nfor _ in range(64):\n  if os.fork() == 0: os.read(os.pipe()[0], 1)",
            "too_many_processes",
        ),
    ],
)
def test_its_limits_hold(prepared: Sandbox, code: str, limit: str) -> None:
    result = trial(prepared, code, timeout=2.0)
    told = {
        name
        for name in ("out_of_memory", "timed_out", "disk_full", "output_truncated", "too_many_processes")
        if getattr(result.run, name)
    }
    assert limit in told
    assert result.trades is None
    if prepared.alive:
        assert processes_in(prepared) == 2


def test_one_that_died_waiting_is_replaced(prepared: Sandbox) -> None:
    (waiting,) = children_in(prepared)
    os.kill(waiting, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{waiting}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    result = trial(prepared)
    assert result.trades
    assert not result.run.out_of_memory
