"""Hostile programs, on every provider: contained, told apart by the limit they hit, and gone afterwards."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from backtesting.test import GOOG

from schemas.sandbox import Limits, RunResult, TrialOrder
from services.sandboxes import Sandbox, SandboxLost, SandboxProvider, SandboxRefusal
from services.sandboxes.bubblewrap import BubblewrapProvider
from services.sandboxes.cgroups import Groups
from services.sandboxes.docker import DockerProvider
from tests.services.sandboxes import hostile
from tests.services.sandboxes.hostile import Program
from tests.support.needs import checked

Make = Callable[..., Sandbox]
ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore:DatetimeIndex.dayofweek")]
FLAGS = ("timed_out", "out_of_memory", "output_truncated", "too_many_processes", "disk_full")
IDLE = (
    "\nfrom backtesting import Strategy\nclass S(Strategy):\n  def init(self): pass\n  def next(self): pass\n"
)
ORDER = TrialOrder(code="strategy.py", entrypoint="S", data="bars.csv")
BARS = GOOG.iloc[:200].to_csv(index_label="Date", date_format="%Y-%m-%dT%H:%M:%SZ").encode()
GVISOR = pytest.param("docker under gVisor", marks=pytest.mark.docker)
PROVIDERS = ["bubblewrap", "bubblewrap without cgroups", pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(scope="module")
def provider(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SandboxProvider]:
    with pytest.MonkeyPatch.context() as patched:
        made: SandboxProvider
        if "gVisor" in request.param and "runsc" not in docker_runtimes():
            pytest.skip("runsc is not a runtime of this Docker daemon (docs/sandboxes.md says how)")
        if request.param.startswith("docker"):
            made = DockerProvider(runtime="runsc" if "gVisor" in request.param else "")
        else:
            made = BubblewrapProvider(tmp_path_factory.mktemp("state"))
        if request.param == "bubblewrap without cgroups":
            patched.setattr(Groups, "find", classmethod(lambda cls: cls()))
        yield checked(made)
        made.close()
        assert made.list({"test": str(os.getpid())}) == []


def docker_runtimes() -> str:
    """What the daemon says of its runtimes; nothing where none answers."""
    asked = ["docker", "info", "--format", "{{.Runtimes}}"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def contained(sandbox: Sandbox) -> None:
    """What must hold after every program: alone, serving, and the host answers."""
    if sandbox.alive:
        listed = sandbox.run(["sh", "-c", "echo /proc/[0-9]*"], timeout=20)
        assert listed.stdout.count("/proc/") == 2, listed
    assert subprocess.run(["true"], timeout=10, check=True).returncode == 0


def flags(result: RunResult) -> set[str]:
    return {name for name in FLAGS if getattr(result, name)}


everywhere = pytest.mark.parametrize("provider", PROVIDERS, indirect=True)
and_gvisor = pytest.mark.parametrize("provider", [*PROVIDERS, GVISOR], indirect=True)


@everywhere
@pytest.mark.parametrize("program", hostile.LIMITS, ids=lambda program: program.name)
def test_the_limit_it_hit_is_told(bound: Sandbox, program: Program) -> None:
    """As a command, and as a strategy in a fork of the preloaded interpreter."""
    bound.put({"strategy.py": IDLE.encode(), "bars.csv": BARS})
    assert bound.trial(ORDER, timeout=20).trades == []  # and what the last one left is gone
    bound.put({"strategy.py": (program.code + IDLE).encode()})
    command = bound.run(["python3", "-c", program.code], timeout=program.timeout)
    assert flags(command) == program.hit, command
    assert command.ok is not program.fails, command
    contained(bound)
    trial = bound.trial(ORDER, timeout=program.timeout)
    assert flags(trial.run) == program.hit, trial
    assert (trial.error is not None) is program.fails, trial
    contained(bound)


@pytest.fixture(scope="module")
def bound(provider: SandboxProvider) -> Iterator[Sandbox]:
    """One small sandbox for all the limits: it must outlive each of them."""
    name = f"bound-{uuid.uuid4().hex[:8]}"
    limits = Limits.model_validate(hostile.LIMITS[0].limits)
    yield provider.create(name, limits=limits, labels={"test": str(os.getpid())})
    provider.destroy(name)


@and_gvisor
@pytest.mark.parametrize("program", hostile.WALLS, ids=lambda program: program.name)
def test_it_finds_no_door(shared: Sandbox, program: Program, request: pytest.FixtureRequest) -> None:
    result = shared.run(["python3", "-c", program.code], timeout=program.timeout)
    found = result.stdout.splitlines()
    if "gVisor" in request.node.name:
        found = [line for line in found if not line.startswith(hostile.GVISOR_SHOWS)]
    assert (result.exit_code, found, flags(result)) == (0, [], set()), result
    contained(shared)


REACH = """
import socket
interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]]
if interfaces != ["lo"]: raise SystemExit(f"not tried: it has {interfaces}")
for family, kind, address in TARGETS:
    try:
        with socket.socket(family, kind) as made:
            made.settimeout(2)
            made.connect(address)
            made.send(b"out")
    except OSError:
        continue
    if kind == socket.SOCK_STREAM: print("reached", address)
"""


@and_gvisor
def test_nothing_that_listens_on_the_host_hears_of_it(shared: Sandbox) -> None:
    """Loopback listeners of this test alone, and only once the sandbox has shown that it has no other interface."""
    with ExitStack() as closing, tempfile.TemporaryDirectory() as place:
        targets: list[tuple[int, int, object]] = []
        listeners = []
        wanted: list[tuple[int, int, object]] = [
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            (socket.AF_INET6, socket.SOCK_DGRAM, ("::1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"{place}/listener"),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"\0genesis-{uuid.uuid4().hex}"),
            (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0genesis-{uuid.uuid4().hex}"),
            (socket.AF_VSOCK, socket.SOCK_STREAM, (1, 47_110)),  # this machine's own loopback
        ]
        Path(place).chmod(0o755)
        for family, kind, address in wanted:
            try:
                listener = closing.enter_context(socket.socket(family, kind))
                listener.bind(address)  # type: ignore[arg-type]
            except OSError:
                assert family in (socket.AF_INET6, socket.AF_VSOCK)  # a host without them
                targets += [(int(family), int(kind), address)] if family == socket.AF_VSOCK else []
                continue
            if kind == socket.SOCK_STREAM:
                listener.listen()
            listener.setblocking(False)
            listeners.append(listener)
            targets.append((int(family), int(kind), listener.getsockname()))
        assert len(listeners) >= 5
        result = shared.run(["python3", "-c", f"TARGETS = {targets!r}\n{REACH}"], timeout=30)
        assert (result.exit_code, result.stdout) == (0, ""), result
        for listener in listeners:
            with pytest.raises(BlockingIOError):
                listener.recv(10) if listener.type == socket.SOCK_DGRAM else listener.accept()


@everywhere
def test_one_trial_finds_nothing_of_the_one_before(shared: Sandbox) -> None:
    shared.put({"strategy.py": (hostile.LEAVE + IDLE).encode(), "bars.csv": BARS})
    left = shared.trial(ORDER, timeout=30)
    assert left.error is None, left
    assert {entry.path for entry in shared.list()} >= {
        "message",
        "message-file",
        "message-fifo",
        "message-link",
    }
    shared.put({"strategy.py": (hostile.LOOK + IDLE).encode()})
    found = shared.trial(ORDER, timeout=30)
    assert (found.error, found.run.stdout) == (None, ""), found
    assert {entry.path for entry in shared.list()} == {"strategy.py", "bars.csv"}


@everywhere
@pytest.mark.parametrize(
    "spoil",
    [
        "open('bars.csv', 'a').write('x')",
        "os.link('bars.csv', 'other'); open('other', 'r+').write('x')",
        "os.rename('bars.csv', 'b'); os.symlink('b', 'bars.csv')",
        "os.remove('bars.csv'); os.mkfifo('bars.csv')",
        "os.remove('bars.csv'); os.mkdir('bars.csv')",
    ],
)
def test_a_change_of_the_data_is_told_to_whoever_put_it(shared: Sandbox, spoil: str) -> None:
    shared.put({"strategy.py": IDLE.encode()})
    with suppress(SandboxRefusal):
        shared.put({"bars.csv": BARS})
    assert shared.run(["python3", "-c", f"import os; {spoil}"], timeout=20).ok
    with pytest.raises(SandboxRefusal, match=r"bars\.csv") as refused:
        shared.trial(ORDER, timeout=20)
    assert refused.value.kind in ("changed", "missing", "not_regular")
    shared.run(["sh", "-c", "rm -rf bars.csv other b"], timeout=20)
    shared.put({"bars.csv": BARS})
    assert shared.trial(ORDER, timeout=20).trades == []


OUTPUTS = r"""
import os, socket
host = os.environ["CANARY"]
os.symlink(host, "link"); os.symlink("/", "root"); os.symlink("..", "up"); os.symlink("self-loop", "self-loop")
os.symlink("/proc/self/environ", "environ"); os.symlink("/proc/1/cmdline", "server")
os.mkfifo("fifo"); os.mkdir("directory")
socket.socket(socket.AF_UNIX).bind("socket")
open("large", "wb").truncate(4 << 20)
for name in ("..x", "a\nb", "\\..\\x", "C:", "-rf", "~", "$(reboot)", "\u202e"): open(name, "w").write("plain")
open(b"\xff", "w").write("no UTF-8")
"""


@everywhere
def test_outputs_lead_nowhere(make: Make, tmp_path: Path) -> None:
    """Links, FIFOs and names made to leave, read and written to from outside: nothing of the host is touched."""
    canary = tmp_path / "canary"
    canary.write_text("of the host")
    tmp_path.chmod(0o755)
    sandbox = make(disk_mb=8, memory_mb=128)
    made = sandbox.run(["python3", "-c", OUTPUTS], timeout=20, env={"CANARY": str(canary)})
    assert made.ok, made
    through = [f"root{canary}", "root/etc/passwd", "up/etc/passwd", "link", "environ", "server", "self-loop"]
    for path in (*through, "fifo", "socket", "directory"):
        with pytest.raises(SandboxRefusal) as refused:
            sandbox.read(path, max_bytes=1 << 20)
        assert refused.value.kind == "not_regular", path
    outside = ["../canary", str(canary), f"..{canary}", "/etc/passwd", "directory/../../etc/passwd", "./link"]
    for path in outside:
        for attempt in (
            lambda path=path: sandbox.read(path, max_bytes=10),
            lambda path=path: sandbox.put({path: b"x"}),
        ):
            with pytest.raises(SandboxRefusal) as refused:
                attempt()
            assert refused.value.kind == "path", path
    with pytest.raises(SandboxRefusal, match="1024 bytes"):
        sandbox.read("large", max_bytes=1024)
    listed = {entry.path: entry.kind for entry in sandbox.list()}
    assert [listed[name] for name in ("link", "root", "fifo", "socket", "directory")] == [
        *("link", "link", "other", "other", "directory")
    ]
    for name in ("..x", "a\nb", "-rf", "$(reboot)"):
        assert sandbox.read(name, max_bytes=10) == b"plain"
    assert listed["\\xff"] == "file"
    for path in (f"root{canary}", "root/tmp/planted", "up/planted"):
        with pytest.raises(SandboxRefusal):
            sandbox.put({path: b"planted"})
    sandbox.put({"link": b"a file now"})
    assert canary.read_text() == "of the host"
    contained(sandbox)


SIBLING = """
import os, signal, socket
for number in (signal.SIGTERM, signal.SIGKILL):
    try: os.kill(-1, number)
    except (ProcessLookupError, PermissionError): pass
for pid in range(2, 5000):
    if pid != os.getpid():
        try: os.kill(pid, signal.SIGKILL); print("hit", pid)
        except (ProcessLookupError, PermissionError): pass
for place in ("/workspace", "/tmp", "/dev/shm"):
    for name in os.listdir(place): print("sees", place, name)
try: socket.socket(socket.AF_UNIX).connect(chr(0) + "sibling"); print("reached the sibling")
except OSError: pass
"""
WORK = """
import socket, time
for place in ("/workspace", "/tmp", "/dev/shm"): open(f"{place}/mine", "w").write("mine")
listener = socket.socket(socket.AF_UNIX); listener.bind(chr(0) + "sibling")
listener.listen(); listener.setblocking(False)
print("up", flush=True)
time.sleep(1.2)
try: listener.accept(); print("somebody came")
except BlockingIOError: print("nobody came")
print([open(f"{place}/mine").read() for place in ("/workspace", "/tmp", "/dev/shm")])
"""


@and_gvisor
def test_a_sibling_is_out_of_reach(make: Make) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: make(), range(2))
        working = pool.submit(one.run, ["python3", "-c", WORK], timeout=30)
        time.sleep(0.5)
        attack = other.run(["python3", "-c", SIBLING], timeout=30)
        result = working.result(40)
    assert result.stdout == "up\nnobody came\n['mine', 'mine', 'mine']\n", result
    assert (attack.exit_code, attack.stdout) == (0, ""), attack
    contained(one)
    contained(other)


@pytest.mark.parametrize("provider", [GVISOR], indirect=True)
@pytest.mark.parametrize(
    "name", ["memory bomb", "disk filler", "endless output", "double-forked daemon", "threads without end"]
)
def test_under_gvisor_a_limit_is_told_or_takes_the_sandbox_with_it(make: Make, name: str) -> None:
    """Its kernel is a process in the same cgroup: out of memory is its end, and is told as what it was."""
    program = next(program for program in hostile.LIMITS if program.name == name)
    sandbox = make(**program.limits)
    result = sandbox.run(["python3", "-c", program.code], timeout=program.timeout)
    assert flags(result) == program.hit, result
    assert sandbox.alive is ("memory" not in name)
    contained(sandbox)


@pytest.mark.parametrize("provider", [GVISOR], indirect=True)
def test_under_gvisor_a_fork_bomb_ends_with_its_sandbox_at_the_latest(make: Make) -> None:
    """The harness ends it as soon as it sees it; where the bomb is faster, the host's limit of threads ends gVisor."""
    sandbox = make(processes=24)
    try:
        result = sandbox.run(["python3", "-c", hostile.FORKS], timeout=10)
    except SandboxLost:
        assert not sandbox.alive
    else:
        assert result.too_many_processes
    contained(sandbox)


HUNG = """
import sys
from pathlib import Path
from schemas.sandbox import Limits
from services.sandboxes.bubblewrap import BubblewrapProvider
from services.sandboxes.docker import DockerProvider
life = float(sys.argv[3])
embedded = sys.argv[1] == "bubblewrap"
provider = BubblewrapProvider(Path(sys.argv[2]), life=life) if embedded else DockerProvider(life=life)
sandbox = provider.create(sys.argv[4], limits=Limits(), labels={"hung": sys.argv[4]})
print("up", flush=True)
sandbox.run(["python3", "-c", sys.argv[5]], timeout=900)
"""


@pytest.mark.parametrize("provider", ["bubblewrap", PROVIDERS[2]], indirect=True)
def test_a_worker_that_hangs_keeps_nothing_alive(provider: SandboxProvider, tmp_path: Path) -> None:
    """Stopped, not killed: no stream ends and no parent dies. The sandbox's own life does, whatever runs in it."""
    name = f"hung-{uuid.uuid4().hex[:8]}"
    kind, life = provider.name, 10.0
    argv = [sys.executable, "-c", HUNG, kind, str(tmp_path / "state"), str(life), name, hostile.STUBBORN]
    began = time.monotonic()
    owner = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    watching = BubblewrapProvider(tmp_path / "state") if kind == "bubblewrap" else provider
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        time.sleep(0.3)
        assert [info.sandbox_id for info in watching.list({"hung": name})] == [name]
        owner.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 30
        while watching.list({"hung": name}):
            assert time.monotonic() < deadline, "it outlived its life"
            time.sleep(0.05)
        assert time.monotonic() - began > life
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close() if owner.stdout else None


@everywhere
def test_a_forged_alarm_ends_no_life(make: Make) -> None:
    sandbox = make()
    forged = "import os, signal\nfor _ in range(50): os.kill(1, signal.SIGALRM)"
    assert sandbox.run(["python3", "-c", forged], timeout=20).ok
    assert sandbox.run(["true"], timeout=20).ok
