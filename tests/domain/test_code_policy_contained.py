"""The wall without the hygiene: every hostile file runs in a sandbox with the policy off, and changes nothing outside.

The files name a place of the host, /genesis-canary, and a port, 47474. Here they become real ones, which anybody
may read and write: what stands between is the sandbox alone.
"""

import os
import queue
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest
from backtesting.test import GOOG

from schemas.sandbox import Limits, TrialOrder, TrialResult
from services.sandboxes import (
    Sandbox,
    SandboxLost,
    SandboxProvider,
    SandboxRefusal,
    default_providers,
)
from services.sandboxes.bubblewrap import BubblewrapSandbox
from services.sandboxes.docker import DEFAULT_IMAGE, DockerSandbox
from tests.domain.code_corpus import HOSTILE, MALFORMED, Example
from tests.support.needs import checked

LIMITS = Limits(memory_mb=384, processes=32, disk_mb=16, output_kb=256)
SECONDS, ENDLESS = 3.0, 1.0
"""Of one trial, and of one that may never end and then costs all of it."""
SIDE_BY_SIDE = 3
OWN = {"contained": str(os.getpid())}
BARS = GOOG.iloc[:40]
DATA = BARS.to_csv(index_label="Date", date_format="%Y-%m-%dT%H:%M:%SZ").encode()


class Canary:
    """A place of the host that anybody may read and write, and a listener; and whether something touched them."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="genesis-canary-", dir="/var/tmp"))
        self.secret = secrets.token_hex(16)
        self.drop = self.place / "drop"
        self.drop.mkdir()
        (self.place / "secret").write_text(self.secret)
        for path, mode in ((self.place, 0o777), (self.drop, 0o777), (self.place / "secret", 0o666)):
            path.chmod(mode)
        self._before = self._state()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.setblocking(False)

    def _state(self) -> list[tuple[str, int, int]]:
        return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_mode) for p in self.place.rglob("*"))

    def aim(self, code: str) -> bytes:
        """The code, with this place and this port for those that it names."""
        port = str(self._listener.getsockname()[1])
        return code.replace("/genesis-canary", str(self.place)).replace("47474", port).encode()

    def touched(self, shown: str) -> list[str]:
        """What is wrong, given everything that came out of a trial."""
        found = []
        if self.secret in shown:
            found.append("the secret was read")
        if not self.place.exists() or self._state() != self._before:
            found.append("the place was changed")
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return found
        return [*found, "the listener was reached"]

    def close(self) -> None:
        self._listener.close()
        shutil.rmtree(self.place, ignore_errors=True)


@pytest.fixture
def canary() -> Iterator[Canary]:
    made = Canary()
    yield made
    made.close()


@pytest.fixture(params=["bubblewrap", pytest.param("docker", marks=pytest.mark.docker)])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SandboxProvider]:
    (made,) = default_providers(tmp_path / "state", order=[request.param], image=DEFAULT_IMAGE)
    yield checked(made)
    made.close()


@dataclass
class Told:
    """What became of the files, by name."""

    ends: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    replaced: int = 0


def children_in(sandbox: Sandbox) -> list[int]:
    """What runs beside the harness, as the host numbers it."""
    if isinstance(sandbox, BubblewrapSandbox):
        pid = sandbox.pid
    else:
        assert isinstance(sandbox, DockerSandbox)
        pid = docker.from_env().api.inspect_container(sandbox.container)["State"]["Pid"]
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


class Runner:
    """One sandbox after another: a new one wherever the last was taken down."""

    def __init__(self, provider: SandboxProvider, canary: Canary, number: int, told: Told) -> None:
        self._provider, self._canary, self._told = provider, canary, told
        self._name = f"contained-{os.getpid()}-{number}"
        self._sandbox: Sandbox | None = None

    def try_out(self, example: Example) -> None:
        sandbox = self._sandbox = self._sandbox or self._create()
        try:
            result = self._trial(sandbox, example)
            shown = result.model_dump_json() + self._outputs(sandbox)
            self._told.ends[example.name] = end_of(result)
            if sandbox.alive and (left := children_in(sandbox)):
                self._told.problems.append(f"{example.name}: processes {left} are left")
        except SandboxLost:
            shown = ""
            self._told.ends[example.name] = "SandboxLost"
        self._told.problems += [f"{example.name}: {each}" for each in self._canary.touched(shown)]
        if not sandbox.alive or self._is_marked(sandbox):
            self.end()
            self._told.replaced += 1

    def _create(self) -> Sandbox:
        sandbox = self._provider.create(self._name, limits=LIMITS, labels=OWN)
        sandbox.prepare()
        return sandbox

    def _trial(self, sandbox: Sandbox, example: Example) -> TrialResult:
        sandbox.put({"strategy.py": self._canary.aim(example.code), "data.csv": DATA})
        order = TrialOrder(code="strategy.py", entrypoint="Hostile", data="data.csv")
        return sandbox.trial(order, timeout=ENDLESS if "Timeout" in example.ends else SECONDS)

    def _outputs(self, sandbox: Sandbox) -> str:
        """What the trial left in its workspace, as far as it may be read."""
        shown = []
        for entry in sandbox.list(limit=200):
            shown.append(entry.path)
            try:
                shown.append(sandbox.read(entry.path, max_bytes=1 << 20).decode(errors="replace"))
            except SandboxRefusal as refusal:
                shown.append(refusal.kind)  # a link, a pipe, something too large: nothing comes out
        return "\n".join(shown)

    def _is_marked(self, sandbox: Sandbox) -> bool:
        """Whether the trial left something that may get in the way of the next."""
        return {entry.path for entry in sandbox.list()} != {"strategy.py", "data.csv"}

    def end(self) -> None:
        self._provider.destroy(self._name)
        self._sandbox = None


def end_of(result: TrialResult) -> str:
    return result.error.type if result.error else "trades"


def run_all(examples: list[Example], provider: SandboxProvider, canary: Canary) -> Told:
    told, waiting = Told(), queue.SimpleQueue[Example]()
    for example in examples:
        waiting.put(example)

    def work(number: int) -> None:
        runner = Runner(provider, canary, number, told)
        while True:
            try:
                example = waiting.get_nowait()
            except queue.Empty:
                return runner.end()
            runner.try_out(example)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for done in [pool.submit(work, number) for number in range(SIDE_BY_SIDE)]:
            done.result()
    return told


@pytest.mark.timeout(180)
def test_every_hostile_file_is_contained_without_the_policy(
    provider: SandboxProvider, canary: Canary
) -> None:
    told = run_all(HOSTILE + MALFORMED, provider, canary)
    assert told.problems == []
    assert len(told.ends) == len(HOSTILE) + len(MALFORMED)
    assert provider.list(OWN) == []
    # each came as far as it wanted to: to the wall, and not only to a slip of its own
    unlike = {e.name: told.ends[e.name] for e in HOSTILE if told.ends[e.name] not in e.ends}
    slow = [name for name, end in unlike.items() if end in ("Timeout", "OutOfMemory")]
    assert {name: end for name, end in unlike.items() if name not in slow} == {}
    assert len(slow) < len(HOSTILE) / 10, f"on a busy machine a few may come too late, not so many: {slow}"


NAKED = """
import sys
import pandas as pd
from backtesting import Backtest
source, data = sys.argv[1:]
space = {"__name__": "naked"}
try:
    exec(compile(open(source).read(), source, "exec"), space)
    bars = pd.read_csv(data, index_col=0, parse_dates=True)
    Backtest(bars, space["Hostile"], cash=1_000_000).run()
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("numpy_fromfile", "the secret was read"),
        ("pandas_to_csv", "the place was changed"),
        ("import_urllib_request", "the listener was reached"),
        ("getattr_built", "the secret was read"),
        ("subclasses_chain", "the secret was read"),
        ("module_in_a_list", "the secret was read"),
        ("apply_built_name", "the place was changed"),
    ],
)
def test_the_canary_sees_what_is_not_contained(canary: Canary, tmp_path: Path, name: str, seen: str) -> None:
    """The control: the same files in a bare process do reach it (harmless ones, chosen by hand)."""
    (example,) = (each for each in HOSTILE if each.name == name)
    (tmp_path / "strategy.py").write_bytes(canary.aim(example.code))
    (tmp_path / "data.csv").write_bytes(DATA)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NAKED, tmp_path / "strategy.py", tmp_path / "data.csv"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=True,
    )
    assert canary.touched(run.stdout) == [seen]
